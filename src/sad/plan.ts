import type { Changes, SaToAdd } from './changes.ts';
import type { Operation } from './operation.ts';
import type { Direction, SaId, SecurityAssociation } from './security-association.ts';
import type { SecurityPolicy } from './security-policy.ts';

/**
 * In steady state traffic flows: what it needs comes first. After a boot of the
 * dataplane nothing flows, and nothing may leave in clear: policies come first.
 */
export type PlanOrder = 'make-before-break' | 'policies-first';

function add({ sa, replayState }: SaToAdd): Operation {
  return { kind: 'add-sa', sa, replayState };
}

function move({ sa, from }: { readonly sa: SecurityAssociation; readonly from: SaId }): Operation {
  const { id, source, udpEncapsulation, reqid } = sa;
  return {
    kind: 'update-sa',
    id: from,
    move: { source, destination: id.destination, udpEncapsulation, reqid },
  };
}

function put(policy: SecurityPolicy): Operation {
  return { kind: 'put-policy', policy };
}

/**
 * Orders changes (invariant 3). Make before break:
 *
 *     inbound SAs, outbound SAs, policies, delete old outbound, delete old inbound
 *
 * Policies first: protect and discard, inbound SAs, outbound SAs, bypass, then deletes.
 */
export function plan(changes: Changes, order: PlanOrder): readonly Operation[] {
  const isIn =
    (direction: Direction) =>
    ({ sa }: { readonly sa: SecurityAssociation }): boolean =>
      sa.id.direction === direction;
  const install = (direction: Direction): Operation[] => [
    ...changes.moveSas.filter(isIn(direction)).map(move),
    ...changes.replaceSas
      .filter(isIn(direction))
      .flatMap((change): Operation[] => [{ kind: 'delete-sa', id: change.sa.id }, add(change)]),
    ...changes.addSas.filter(isIn(direction)).map(add),
  ];
  const remove = (direction: Direction): Operation[] =>
    changes.deleteSas
      .filter((id) => id.direction === direction)
      .map((id): Operation => ({ kind: 'delete-sa', id }));
  const deletePolicies = changes.deletePolicies.map((id): Operation => ({ kind: 'delete-policy', id }));
  const bypass = changes.putPolicies.filter(({ action }) => action.kind === 'bypass').map(put);
  const secure = changes.putPolicies.filter(({ action }) => action.kind !== 'bypass').map(put);
  const sas = [...install('inbound'), ...install('outbound')];
  const puts = order === 'policies-first' ? [...secure, ...sas, ...bypass] : [...sas, ...secure, ...bypass];
  return [...puts, ...deletePolicies, ...remove('outbound'), ...remove('inbound')];
}
