import { Direction as ContractDirection, type Sa } from '../../proto/index.ts';
import { SecretBytes } from '../../util/index.ts';
import type { PfkeyMessage } from '../pfkey/index.ts';
import { parseIpv4 } from './address.ts';
import { parseSaName, type SaRequest } from './sa-request.ts';

/** Whole seconds; 0 is no limit, and one that is over ends at once. */
type SecondsLeft = { readonly soft: bigint; readonly hard: bigint };

function left(limit: bigint, sinceSeconds: bigint): bigint {
  if (limit <= 0n) return 0n;
  const over = limit - (BigInt(Math.floor(Date.now() / 1000)) - sinceSeconds);
  return over > 0n ? over : 1n;
}

/**
 * An SA that vsw lists and the journal knows; undefined when they are not the same one. Takes the keys of
 * the listing, which are for the caller to wipe otherwise.
 */
export function adoptedSa(
  listed: Sa,
  message: PfkeyMessage,
  { vrf, vrfOf }: { readonly vrf: string; readonly vrfOf: (name: string) => string | undefined },
): { readonly sa: SaRequest; readonly secondsLeft: SecondsLeft } | undefined {
  const name = parseSaName(listed.id);
  const source = parseIpv4(listed.source, 'outer source');
  if (
    vrfOf(listed.innerVrf) !== vrf ||
    message.source?.address !== source ||
    message.destination?.address !== name.destination ||
    message.encryptionKey === undefined ||
    listed.id?.direction === ContractDirection.DIRECTION_UNSPECIFIED
  ) {
    return undefined;
  }
  // vsw gives an empty key for an AEAD's integrity, or none.
  const integrityKey = message.integrityKey ?? new SecretBytes(new Uint8Array(0));
  const sinceSeconds = message.current?.addSeconds ?? 0n;
  const softSeconds = listed.softLifetime?.seconds ?? 0n;
  const hardSeconds = listed.hardLifetime?.seconds ?? 0n;
  return {
    sa: {
      listed,
      name,
      vrf,
      source,
      encryption: listed.encryption,
      encryptionKey: message.encryptionKey,
      integrity: listed.integrity,
      integrityKey,
      udp: listed.udpEncapsulation,
      softSeconds: Number(softSeconds),
      hardSeconds: Number(hardSeconds),
    },
    secondsLeft: { soft: left(softSeconds, sinceSeconds), hard: left(hardSeconds, sinceSeconds) },
  };
}
