import { Feature, ResultCode } from '../proto/index.ts';
import { Refusal } from './refusal.ts';

/** As the contract calls it. */
export function featureName(feature: number): string {
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
