import { Feature, type Mark, ResultCode } from '../proto/index.ts';
import { Refusal } from './refusal.ts';

/** What this dataplane implements of the contract's optional parts. */
export const supportedFeatures: readonly Feature[] = [
  Feature.FEATURE_UDP_ENCAPSULATION,
  Feature.FEATURE_INITIAL_SEQUENCE,
  Feature.FEATURE_REPLAY_STATE,
  Feature.FEATURE_COPY_DF,
  Feature.FEATURE_COPY_ECN,
  Feature.FEATURE_COPY_DSCP,
  Feature.FEATURE_LIFETIME_TIME,
  Feature.FEATURE_LIFETIME_BYTES,
  Feature.FEATURE_LIFETIME_PACKETS,
  Feature.FEATURE_UPDATE_SA,
  Feature.FEATURE_BYPASS,
  Feature.FEATURE_ACQUIRE,
];

function featureName(feature: number): string {
  return Object.entries(Feature).find(([, value]) => value === feature)?.[0] ?? `feature ${feature}`;
}

/** A field that is set and that nothing here acts on. */
export function refuseFeature(isSet: boolean, feature: Feature, why: string): void {
  if (isSet)
    throw new Refusal(
      ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE,
      `${featureName(feature)} is not supported: ${why}`,
    );
}

/** @throws Refusal when one is not implemented, unknown ones included. */
export function checkRequiredFeatures(required: readonly Feature[]): void {
  for (const feature of required) {
    refuseFeature(!supportedFeatures.includes(feature), feature, 'it is in required_features');
  }
}

/** What narrows an SA or policy to a part of the traffic, as in SaId and PolicyId. */
export type Scope = {
  readonly mark?: Mark | undefined;
  readonly ifId: number;
  readonly vrf: string;
  readonly interface?: string;
  readonly label?: Uint8Array;
};

export function refuseScope(scope: Scope): void {
  const { mark } = scope;
  refuseFeature(
    mark !== undefined && (mark.value !== 0 || mark.mask !== 0),
    Feature.FEATURE_MARK,
    'packets are not told apart by mark',
  );
  refuseFeature(scope.ifId !== 0, Feature.FEATURE_IF_ID, 'there is one TUN device');
  refuseFeature(scope.vrf !== '', Feature.FEATURE_VRF, 'there is one routing domain');
  refuseFeature((scope.interface ?? '') !== '', Feature.FEATURE_INTERFACE, 'there is one TUN device');
  refuseFeature((scope.label?.length ?? 0) > 0, Feature.FEATURE_LABEL, 'security labels are not implemented');
}
