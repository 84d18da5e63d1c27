import {
  type ActualPolicy,
  type ActualSa,
  moveSa,
  type Operation,
  policyDifferences,
  policyKey,
  type SecurityAssociation,
  saDifferences,
  saKey,
} from '../sad/index.ts';
import type { Listings } from './comparison.ts';
import type { DesiredState } from './desired-state.ts';

/**
 * Tells from listings whether an operation that got no answer is in effect after all
 * (invariant 6). The listings are of after the writer's role was taken anew: what is not
 * in them by now never will be.
 */
export function readBack(listings: Listings, desired: DesiredState): (operation: Operation) => boolean {
  const sas = new Map(listings.actualSas.map((listed): [string, ActualSa] => [saKey(listed.sa.id), listed]));
  const policies = new Map(
    listings.actualPolicies.map((listed): [string, ActualPolicy] => [policyKey(listed.policy.id), listed]),
  );
  const isListed = (sa: SecurityAssociation): boolean => {
    const listed = sas.get(saKey(sa.id));
    return listed !== undefined && saDifferences(sa, listed, listings.fingerprintOf).length === 0;
  };
  return (operation) => {
    switch (operation.kind) {
      case 'add-sa':
        return isListed(operation.sa);
      case 'update-sa': {
        const sa = desired.sas.get(saKey(operation.id));
        return sa !== undefined && isListed(moveSa(sa, operation.move));
      }
      case 'put-policy': {
        const listed = policies.get(policyKey(operation.policy.id));
        return listed !== undefined && policyDifferences(operation.policy, listed.policy).length === 0;
      }
      default:
        return false;
    }
  };
}
