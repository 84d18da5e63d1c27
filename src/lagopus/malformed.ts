import { AgentError } from '../util/index.ts';

/** The dataplane's message breaks the contract. */
export function malformed(what: string): AgentError {
  return new AgentError(`the dataplane sent what the contract does not allow: ${what}`, {
    code: 'malformed',
  });
}

/** A message field the contract requires. */
export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw malformed(`no ${what}`);
  return value;
}
