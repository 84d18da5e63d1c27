import type { PolicyRequest } from './policy-request.ts';
import type { SaRequest } from './sa-request.ts';

/**
 * How vsw is told. A promise resolves when it was told; that it did as told is read back. Inbound policies
 * that protect are BYPASS policies of PF_KEY, which no rekeying has to move.
 */
export type Surface = {
  /** An SA will be installed soon; the function that is returned is called when it is, or will not be. */
  readonly announceSa: () => () => void;
  readonly installSa: (sa: SaRequest) => Promise<void>;
  /** After an inbound SA showed: has it work, as far as a policy is needed for that; whether it will. */
  readonly enableInbound: (sa: SaRequest, policies: readonly PolicyRequest[]) => Promise<boolean>;
  /** Before a policy moves to an outbound SA: has that work, as far as it needs one; whether it will show as mature. */
  readonly enableOutbound: (policy: PolicyRequest) => Promise<boolean>;
  readonly removeSa: (sa: SaRequest) => Promise<void>;
  /** Adds a policy, or changes the one of its name. False: not before there is an SA of its outer addresses. */
  readonly putPolicy: (policy: PolicyRequest, before: PolicyRequest | undefined) => Promise<boolean>;
  /** One of an earlier life of this process, if it is still there: not somebody else's. */
  readonly adoptPolicy: (policy: PolicyRequest) => void;
  readonly removePolicy: (policy: PolicyRequest) => Promise<void>;
};
