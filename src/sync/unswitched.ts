import type { IpsecProtocol, ReqId, SaId, SaTemplate, Spi } from '../sad/index.ts';
import type { DesiredState } from './desired-state.ts';

function* templatesOf(desired: DesiredState, direction: 'inbound' | 'outbound'): Generator<SaTemplate> {
  for (const { id, action } of desired.policies.users()) {
    if (id.direction === direction && action.kind === 'protect') yield action.template;
  }
}

/** Whether an outbound policy, in effect or not, leads to this SA. */
export function isSwitched(desired: DesiredState, protocol: IpsecProtocol, spi: Spi): boolean {
  for (const template of templatesOf(desired, 'outbound')) {
    if (template.protocol === protocol && template.spi === spi) return true;
  }
  return false;
}

/**
 * Outbound SAs to which no outbound policy leads although their CHILD_SA has an inbound
 * one: the switch failed while no agent was there to hear of it. A CHILD_SA that is
 * configured without policies has neither.
 */
export function findUnswitched(desired: DesiredState): readonly SaId[] {
  const switched = new Set<Spi>();
  for (const { spi } of templatesOf(desired, 'outbound')) if (spi !== undefined) switched.add(spi);
  const reqids = new Set<ReqId>();
  for (const { reqid } of templatesOf(desired, 'inbound')) reqids.add(reqid);
  const unswitched: SaId[] = [];
  for (const { id, reqid } of desired.sas.values()) {
    if (id.direction === 'outbound' && reqids.has(reqid) && !switched.has(id.spi)) unswitched.push(id);
  }
  return unswitched;
}
