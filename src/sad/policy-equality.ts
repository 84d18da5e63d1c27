import type { PolicyAction, SecurityPolicy } from './security-policy.ts';

export function isSameAction(a: PolicyAction, b: PolicyAction): boolean {
  if (a.kind !== 'protect' || b.kind !== 'protect') return a.kind === b.kind;
  return (
    a.template.protocol === b.template.protocol &&
    a.template.mode === b.template.mode &&
    a.template.source === b.template.source &&
    a.template.destination === b.template.destination &&
    a.template.spi === b.template.spi &&
    a.template.reqid === b.template.reqid
  );
}

/** In what two policies of one id differ. */
export function policyDifferences(desired: SecurityPolicy, actual: SecurityPolicy): readonly string[] {
  const fields: string[] = [];
  if (!isSameAction(desired.action, actual.action)) fields.push('action');
  if (desired.priority !== actual.priority) fields.push('priority');
  return fields;
}
