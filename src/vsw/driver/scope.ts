import { Feature } from '../../proto/index.ts';
import { refuseFeature } from '../../server/index.ts';

type Mark = { readonly value: number; readonly mask: number };
type Scope = { readonly ifId: number; readonly mark?: Mark | undefined };

/** What `vrfRules` of the agent choose a VRF by; vsw separates traffic by the VRF then. */
const chosenByVrf: readonly Feature[] = [Feature.FEATURE_IF_ID, Feature.FEATURE_MARK];

function hasMark({ mark }: Scope): boolean {
  return (mark?.mask ?? 0) !== 0;
}

/**
 * An if_id or a mark only names the VRF: without one nothing would keep its traffic apart.
 * @throws Refusal
 */
export function checkScope(scope: Scope, innerVrf: string): void {
  if (innerVrf !== '') return;
  const advice = 'give them one (vrfRules in agent.yaml)';
  refuseFeature(hasMark(scope), Feature.FEATURE_MARK, `vsw has VRFs, not marks: ${advice}`);
  refuseFeature(scope.ifId !== 0, Feature.FEATURE_IF_ID, `vsw has VRFs, not if_ids: ${advice}`);
}

/** What is left to require of vsw once the VRF is named. */
export function withoutScope(required: readonly Feature[], innerVrf: string): readonly Feature[] {
  return innerVrf === '' ? required : required.filter((feature) => !chosenByVrf.includes(feature));
}

export function isSameScope(a: Scope | undefined, b: Scope | undefined): boolean {
  const [own, other] = [a?.mark, b?.mark];
  return (
    (a?.ifId ?? 0) === (b?.ifId ?? 0) &&
    (own?.mask ?? 0) === (other?.mask ?? 0) &&
    (own?.value ?? 0) === (other?.value ?? 0)
  );
}
