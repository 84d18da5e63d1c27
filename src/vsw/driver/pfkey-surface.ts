import { ResultCode } from '../../proto/index.ts';
import { Refusal } from '../../server/index.ts';
import { errnoName } from '../pfkey/index.ts';
import { AUTH_HMAC_SHA1_96, AUTH_HMAC_SHA2_256_128 } from './algorithms.ts';
import type { PfkeyLink } from './pfkey-link.ts';
import type { PfkeyPolicies } from './pfkey-policies.ts';
import type { PolicyRequest } from './policy-request.ts';
import { describeSa, type SaRequest } from './sa-request.ts';
import type { Surface } from './surface.ts';

/** SADB_AALG_* by IANA's transform ids; encryption has IANA's own numbers. */
const integrityNumbers: ReadonlyMap<number, number> = new Map([
  [AUTH_HMAC_SHA1_96, 3],
  [AUTH_HMAC_SHA2_256_128, 5],
]);

/** SAs and policies through PF_KEY. An SA works in the direction in which a policy was bound to it. */
export class PfkeySurface implements Surface {
  readonly #linkOf: (vrf: string) => PfkeyLink;
  readonly #policies: PfkeyPolicies;

  constructor(linkOf: (vrf: string) => PfkeyLink, policies: PfkeyPolicies) {
    this.#linkOf = linkOf;
    this.#policies = policies;
  }

  readonly announceSa = (): (() => void) => () => undefined;

  readonly installSa = async (sa: SaRequest): Promise<void> => {
    const { name, source, integrity, hardSeconds, softSeconds, udp } = sa;
    const answer = await this.#linkOf(sa.vrf).ask({
      kind: 'add',
      spi: name.spi,
      source,
      destination: name.destination,
      encryption: { algorithm: sa.encryption, key: sa.encryptionKey },
      integrity:
        integrity === 0
          ? undefined
          : { algorithm: integrityNumbers.get(integrity) ?? 0, key: sa.integrityKey },
      hardSeconds,
      softSeconds,
      udp,
    });
    if (answer.errno === 0) return;
    throw new Refusal(
      ResultCode.RESULT_CODE_TEMPORARY,
      `${describeSa(name)}: vsw's PF_KEY says ${errnoName(answer.errno)}`,
    );
  };

  readonly enableInbound = async (_sa: SaRequest, policies: readonly PolicyRequest[]): Promise<boolean> => {
    let isEnabled = false;
    for (const policy of policies) isEnabled = (await this.#policies.put(policy)) || isEnabled;
    return isEnabled;
  };

  /** GET answers for the inbound table, in which an outbound SA never matures. */
  readonly enableOutbound = async (policy: PolicyRequest): Promise<boolean> => {
    await this.#policies.enableSa(policy);
    return false;
  };

  readonly removeSa = async ({ vrf, name, source }: SaRequest): Promise<void> => {
    await this.#linkOf(vrf).ask({ kind: 'delete', spi: name.spi, source, destination: name.destination });
  };

  readonly putPolicy = (policy: PolicyRequest): Promise<boolean> => this.#policies.put(policy);

  readonly adoptPolicy = (policy: PolicyRequest): void => this.#policies.adopt(policy);

  readonly removePolicy = (policy: PolicyRequest): Promise<void> => this.#policies.remove(policy);
}
