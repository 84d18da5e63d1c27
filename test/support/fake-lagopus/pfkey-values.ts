import { ENCRYPTION_KEY_BYTES, type Encryption, INTEGRITY_KEY_BYTES, type Integrity } from './algorithms.ts';
import {
  type Address,
  type Extension,
  type Extensions,
  ExtensionType,
  type Key,
  type Lifetime,
  type PolicyExtension,
  type SaExtension,
  write,
} from './pfkey-wire.ts';
import type { SaValues } from './sa.ts';
import type { HeldSp, Selector, SpDirection, SpPolicy } from './sp-manager.ts';

/** SADB_EALG_* and SADB_AALG_* that vsw knows (agents/tunnel/ipsec/pfkey/receiver/sad_types.go). */
const CIPHERS: Readonly<Record<number, readonly Encryption[]>> = {
  0: ['null'],
  3: ['3des-cbc'],
  11: ['null'],
  12: ['aes-128-cbc', 'aes-256-cbc'],
  13: ['aes-128-ctr'],
  20: ['aes-128-gcm'],
};
const INTEGRITIES: Readonly<Record<number, Integrity>> = {
  0: 'null',
  3: 'hmac-sha1-96',
  5: 'hmac-sha2-256-128',
  251: 'null',
};

const CIPHER_IDS: Readonly<Record<Encryption, number>> = {
  null: 11,
  '3des-cbc': 3,
  'aes-128-cbc': 12,
  'aes-256-cbc': 12,
  'aes-128-ctr': 13,
  'aes-128-gcm': 20,
};
const INTEGRITY_IDS: Readonly<Record<Integrity, number>> = {
  null: 251,
  'hmac-sha1-96': 3,
  'hmac-sha2-256-128': 5,
};

/** Go's zero time as seconds since 1970, which SAs of the configuration stream have as their beginning. */
const ZERO_TIME = -62_135_596_800n;
/** Seconds of the longest time.Duration, in which differences from the zero time end. */
const LONGEST = 9_223_372_036n;
/** When the fake's clock was 0. */
const EPOCH = 1_700_000_000n;

const UDP_ENCAPSULATION = 2;

/** What is refused with EINVAL, or what kills vsw. */
export type BadSa = 'invalid' | { readonly crash: string };

export function saValuesOf(extensions: Extensions, nowMs: number): SaValues | BadSa {
  const { sa, source, destination, encryptKey, authKey } = extensions;
  if (sa === undefined || source === undefined || destination === undefined) return 'invalid';
  const encryption = CIPHERS[sa.encrypt]?.find((name) => ENCRYPTION_KEY_BYTES[name] === bytesOf(encryptKey));
  if (encryption === undefined) return 'invalid';
  const isAead = encryption === 'aes-128-gcm';
  const integrity = INTEGRITIES[sa.auth];
  if (!isAead) {
    if (integrity === undefined) return 'invalid';
    if (INTEGRITY_KEY_BYTES[integrity] !== bytesOf(authKey)) {
      // It logs the key's length, key or not.
      return authKey === undefined ? { crash: `ADD with ${integrity} and no KEY_AUTH` } : 'invalid';
    }
  }
  const { natType, natSourcePort, natDestinationPort } = extensions;
  const hasPorts = natSourcePort !== undefined && natDestinationPort !== undefined;
  if (natType !== undefined && (natType !== UDP_ENCAPSULATION || !hasPorts)) return 'invalid';
  const untilMs = (lifetime: Lifetime | undefined): number =>
    lifetime === undefined || lifetime.addTime === 0n ? 0 : nowMs + Number(lifetime.addTime) * 1000;
  return {
    encryption,
    ...(isAead || integrity === undefined ? {} : { integrity }),
    encryptionKey: keyBytes(encryptKey),
    integrityKey: isAead ? Buffer.alloc(0) : keyBytes(authKey),
    local: source.ip,
    remote: destination.ip,
    ...(natType !== undefined && hasPorts
      ? { udp: { sourcePort: natSourcePort, destinationPort: natDestinationPort } }
      : {}),
    hardAtMs: untilMs(extensions.hard),
    softAtMs: untilMs(extensions.soft),
    addedAtMs: nowMs,
    byteHard: extensions.hard?.bytes ?? 0n,
    byteSoft: extensions.soft?.bytes ?? 0n,
  };
}

function bytesOf(key: Key | undefined): number {
  return key === undefined ? 0 : key.bits / 8;
}

function keyBytes(key: Key | undefined): Buffer {
  return key === undefined ? Buffer.alloc(0) : Buffer.from(key.bytes.subarray(0, key.bits / 8));
}

export function saExtension(spi: number, state: number, { encryption, integrity }: SaValues): SaExtension {
  const auth = integrity === undefined ? 0 : INTEGRITY_IDS[integrity];
  return { spi, state, replay: 0, auth, encrypt: CIPHER_IDS[encryption], flags: 0 };
}

/** Bytes are always 0; times follow Go's arithmetic, also where it overflows. */
export function lifetimesOf(values: SaValues): { current: Lifetime; hard: Lifetime; soft: Lifetime } {
  const { addedAtMs } = values;
  const isAdded = addedAtMs !== 0;
  const after = (atMs: number): bigint => {
    if (atMs === 0) return isAdded ? -LONGEST : 0n;
    return isAdded ? BigInt(Math.floor((atMs - addedAtMs) / 1000)) : LONGEST;
  };
  const began = isAdded ? EPOCH + BigInt(Math.floor(addedAtMs / 1000)) : ZERO_TIME;
  const lifetime = (bytes: bigint, addTime: bigint): Lifetime => ({
    allocations: 0,
    bytes,
    addTime,
    useTime: 0n,
  });
  return {
    current: lifetime(0n, began),
    hard: lifetime(values.byteHard, after(values.hardAtMs)),
    soft: lifetime(values.byteSoft, after(values.softAtMs)),
  };
}

export function hostAddress(ip: string): Address {
  return { ip, port: 0, prefix: 0, protocol: 0 };
}

/** An SA as GET and DUMP show it, keys and all. */
export function describeSa(spi: number, state: number, values: SaValues): readonly Extension[] {
  const { current, hard, soft } = lifetimesOf(values);
  return [
    write.sa(saExtension(spi, state, values)),
    write.lifetime(ExtensionType.LIFETIME_CURRENT, current),
    write.lifetime(ExtensionType.LIFETIME_HARD, hard),
    write.lifetime(ExtensionType.LIFETIME_SOFT, soft),
    write.address(ExtensionType.ADDRESS_SRC, hostAddress(values.local)),
    write.address(ExtensionType.ADDRESS_DST, hostAddress(values.remote)),
    write.key(ExtensionType.KEY_ENCRYPT, values.encryptionKey),
    ...(values.integrity === undefined ? [] : [write.key(ExtensionType.KEY_AUTH, values.integrityKey)]),
  ];
}

/** What REGISTER lists; sizes of authentication keys come in bytes. */
export function supportedAlgorithms(): readonly Extension[] {
  const auth = Object.entries(INTEGRITIES).map(([id, name]) => {
    const bytes = INTEGRITY_KEY_BYTES[name];
    return { id: Number(id), ivBytes: 0, min: bytes, max: bytes };
  });
  const ivBytes: Readonly<Record<number, number>> = { 3: 8, 12: 16, 13: 8, 20: 8 };
  const encrypt = Object.entries(CIPHERS).map(([id, names]) => {
    const sizes = names.map((name) => ENCRYPTION_KEY_BYTES[name] * 8);
    return {
      id: Number(id),
      ivBytes: ivBytes[Number(id)] ?? 0,
      min: Math.min(...sizes),
      max: Math.max(...sizes),
    };
  });
  return [
    write.algorithms(ExtensionType.SUPPORTED_AUTH, auth),
    write.algorithms(ExtensionType.SUPPORTED_ENCRYPT, encrypt),
  ];
}

const DIRECTIONS: readonly (SpDirection | undefined)[] = [undefined, 'inbound', 'outbound', 'forward'];
const POLICIES: readonly SpPolicy[] = ['discard', 'other', 'protect', 'other', 'bypass'];

export function directionOf(policy: PolicyExtension): SpDirection | undefined {
  return DIRECTIONS[policy.direction];
}

export function policyOf(policy: PolicyExtension): SpPolicy {
  return POLICIES[policy.type] ?? 'other';
}

export function selectorOf(source: Address, destination: Address): Selector {
  return {
    source: source.ip,
    sourcePrefix: source.prefix,
    sourcePort: source.port,
    destination: destination.ip,
    destinationPrefix: destination.prefix,
    destinationPort: destination.port,
    protocol: source.protocol,
  };
}

/** A policy as X_SPDGET shows it: without its protocol and ports. */
export function describeSp({
  id,
  direction,
  selector,
  policy,
  priority,
  request,
}: HeldSp): readonly Extension[] {
  const end = (ip: string, prefix: number): Address => ({ ip, prefix, port: 0, protocol: 0 });
  return [
    write.policy({
      type: POLICIES.indexOf(policy),
      direction: DIRECTIONS.indexOf(direction),
      id,
      priority,
      request: {
        protocol: 50,
        mode: request === undefined ? 0 : 2,
        level: request?.level ?? 2,
        reqid: request?.reqid ?? 0,
      },
      ...(request === undefined ? {} : { tunnel: { source: request.local, destination: request.remote } }),
    }),
    write.address(ExtensionType.ADDRESS_SRC, end(selector.source, selector.sourcePrefix)),
    write.address(ExtensionType.ADDRESS_DST, end(selector.destination, selector.destinationPrefix)),
    write.lifetime(ExtensionType.LIFETIME_CURRENT, { allocations: 0, bytes: 0n, addTime: 0n, useTime: 0n }),
  ];
}
