import { Feature } from '../proto/index.ts';
import { refuseFeature } from '../server/index.ts';

/** What this dataplane implements of the contract's optional parts. */
export const supportedFeatures: readonly Feature[] = [
  Feature.FEATURE_IPV6_OUTER,
  Feature.FEATURE_IPV6_INNER,
  Feature.FEATURE_UDP_ENCAPSULATION,
  Feature.FEATURE_ESN,
  Feature.FEATURE_INITIAL_SEQUENCE,
  Feature.FEATURE_REPLAY_STATE,
  Feature.FEATURE_MARK,
  Feature.FEATURE_SET_MARK,
  Feature.FEATURE_IF_ID,
  Feature.FEATURE_VRF,
  Feature.FEATURE_COPY_DF,
  Feature.FEATURE_COPY_ECN,
  Feature.FEATURE_COPY_DSCP,
  Feature.FEATURE_TFC,
  Feature.FEATURE_LIFETIME_TIME,
  Feature.FEATURE_LIFETIME_BYTES,
  Feature.FEATURE_LIFETIME_PACKETS,
  Feature.FEATURE_UPDATE_SA,
  Feature.FEATURE_BYPASS,
  Feature.FEATURE_ACQUIRE,
];

/** @throws Refusal when one is not implemented, unknown ones included. */
export function checkRequiredFeatures(required: readonly Feature[]): void {
  for (const feature of required) {
    refuseFeature(!supportedFeatures.includes(feature), feature, 'it is in required_features');
  }
}

/** What else narrows an SA or policy in the contract, and nothing here acts on. */
export function refuseOtherScopes({
  interface: name,
  label,
}: {
  interface: string;
  label: Uint8Array;
}): void {
  refuseFeature(name !== '', Feature.FEATURE_INTERFACE, 'packets are not told apart by where they came in');
  refuseFeature(label.length > 0, Feature.FEATURE_LABEL, 'security labels are not implemented');
}
