import { isIPv4 } from 'node:net';
import { ENCRYPTION_KEY_BYTES, type Encryption, type Integrity } from './algorithms.ts';
import type { SaValues } from './sa.ts';
import { ANY_PROTOCOL, type Selector, type SpDirection, type SpPolicy, type SpValues } from './sp-manager.ts';

/**
 * SAs and SPs as the configuration describes them (agents/config/set_cmd.go): leaves are collected as
 * they come; a leaf with a value that vsw does not know is ignored without a word.
 */
export type SaEntry = {
  spi: number;
  mode?: string;
  seconds: number;
  bytes: number;
  local?: string;
  remote?: string;
  encryption?: string;
  encryptionKey: string;
  integrity?: string;
  integrityKey: string;
  encapsulation: string;
  sourcePort: number;
  destinationPort: number;
};

export type SpEntry = {
  name: string;
  spi: number;
  direction: SpDirection;
  priority: number;
  policy: SpPolicy;
  isEsp: boolean;
  selector: { -readonly [K in keyof Selector]: Selector[K] };
};

const PROTOCOLS: Readonly<Record<string, number>> = {
  any: ANY_PROTOCOL,
  icmp: 1,
  tcp: 6,
  udp: 17,
  sctp: 132,
};

export function newSaEntry(spi: number): SaEntry {
  return {
    spi,
    seconds: 0,
    bytes: 0,
    encryptionKey: '',
    integrityKey: '',
    encapsulation: 'none',
    sourcePort: 0,
    destinationPort: 0,
  };
}

export function newSpEntry(name: string): SpEntry {
  return {
    name,
    spi: 0,
    direction: 'inbound',
    priority: 0,
    policy: 'discard',
    isEsp: false,
    selector: {
      source: '0.0.0.0',
      sourcePrefix: 32,
      sourcePort: 0,
      destination: '0.0.0.0',
      destinationPrefix: 32,
      destinationPort: 0,
      protocol: ANY_PROTOCOL,
    },
  };
}

/** @param leaf the words below `config`. False: not in vsw's syntax. */
export function setSaLeaf(sa: SaEntry, leaf: readonly string[]): boolean {
  const [name, second, third, value] = leaf;
  const number = Number(leaf.at(-1));
  switch (name) {
    case 'sa-mode':
      if (second === 'tunnel') sa.mode = second;
      return true;
    case 'life-time':
      if (!Number.isInteger(number)) return false;
      if (second === 'life-time-in-seconds') sa.seconds = number;
      else sa.bytes = number;
      return true;
    case 'local-peer':
    case 'remote-peer':
      if (second !== 'ipv4-address' || third === undefined || !isIPv4(third)) return false;
      sa[name === 'local-peer' ? 'local' : 'remote'] = third;
      return true;
    case 'esp':
      if (third === undefined) return false;
      if (second === 'encryption') {
        if (['null', 'aes-128-cbc', 'aes-128-gcm'].includes(third)) sa.encryption = third;
        if (leaf[3] === 'key-str') sa.encryptionKey = leaf[4] ?? '';
      } else {
        if (['null', 'hmac-sha1-96'].includes(third)) sa.integrity = third;
        if (leaf[3] === 'key-str') sa.integrityKey = leaf[4] ?? '';
      }
      return true;
    case 'encap-protocol':
      if (second === 'udp' || second === 'none') sa.encapsulation = second;
      return true;
    case 'encap-src-port':
      sa.sourcePort = number;
      return true;
    case 'encap-dst-port':
      sa.destinationPort = number;
      return true;
    default:
      return value === undefined && false;
  }
}

/** @param leaf the words below `config`. False: not in vsw's syntax. */
export function setSpLeaf(sp: SpEntry, leaf: readonly string[]): boolean {
  const [name, second, third] = leaf;
  const { selector } = sp;
  switch (name) {
    case 'spi':
      sp.spi = Number(second);
      return true;
    case 'direction':
      sp.direction = second === 'outbound' ? 'outbound' : 'inbound';
      return true;
    case 'priority':
      sp.priority = Number(second);
      return true;
    case 'policy':
      if (second === 'protect' || second === 'discard') sp.policy = second;
      return true;
    case 'security-protocol':
      sp.isEsp ||= second === 'esp';
      return true;
    case 'upper-protocol':
      selector.protocol = PROTOCOLS[second ?? ''] ?? selector.protocol;
      return true;
    case 'source-address':
    case 'destination-address': {
      const end = name === 'source-address' ? 'source' : 'destination';
      if (third === undefined) return false;
      if (second === 'ipv4-address' && isIPv4(third)) selector[end] = third;
      else if (second === 'prefix-length') selector[`${end}Prefix`] = Number(third);
      else if (second === 'port-number') selector[`${end}Port`] = Number(third);
      return true;
    }
    default:
      return false;
  }
}

/** vsw compares entries without their encapsulation: a change of that alone is not seen (vswitch/sa.go). */
export function isSameSaEntry(a: SaEntry, b: SaEntry): boolean {
  const rest = ({ encapsulation, sourcePort, destinationPort, ...others }: SaEntry): string =>
    JSON.stringify(Object.entries(others).sort(([x], [y]) => (x < y ? -1 : 1)));
  return rest(a) === rest(b);
}

/** What the SAD takes, or undefined when vsw only logs an error. */
export function saValuesOf(sa: SaEntry, nowMs: number): SaValues | undefined {
  const encryption = encryptionOf(sa.encryption);
  if (encryption === undefined || sa.mode !== 'tunnel') return undefined;
  if (sa.local === undefined || sa.remote === undefined) return undefined;
  const encryptionKey = keyOf(sa.encryptionKey, ENCRYPTION_KEY_BYTES[encryption]);
  if (encryptionKey === undefined) return undefined;
  const isAead = encryption === 'aes-128-gcm';
  const integrity: Integrity | undefined =
    sa.integrity === 'null' || sa.integrity === 'hmac-sha1-96' ? sa.integrity : undefined;
  if (!isAead && integrity === undefined) return undefined;
  const integrityKey = isAead ? Buffer.alloc(0) : keyOf(sa.integrityKey, integrity === 'null' ? 0 : 20);
  if (integrityKey === undefined) return undefined;
  return {
    encryption,
    ...(isAead || integrity === undefined ? {} : { integrity }),
    encryptionKey,
    integrityKey,
    local: sa.local,
    remote: sa.remote,
    ...(sa.encapsulation === 'udp'
      ? { udp: { sourcePort: sa.sourcePort, destinationPort: sa.destinationPort } }
      : {}),
    hardAtMs: sa.seconds === 0 ? 0 : nowMs + sa.seconds * 1000,
    softAtMs: 0,
    addedAtMs: 0,
    byteHard: BigInt(sa.bytes),
    byteSoft: 0n,
  };
}

/** What the SPD takes, or undefined when vsw only logs an error. */
export function spValuesOf(sp: SpEntry): SpValues | undefined {
  if (sp.spi === 0 || !sp.isEsp) return undefined;
  return { policy: sp.policy, priority: sp.priority, spi: sp.spi };
}

function encryptionOf(text: string | undefined): Encryption | undefined {
  return text === 'null' || text === 'aes-128-cbc' || text === 'aes-128-gcm' ? text : undefined;
}

function keyOf(hex: string, bytes: number): Buffer | undefined {
  if (!/^([0-9a-fA-F]{2})*$/.test(hex) || hex.length !== bytes * 2) return undefined;
  return Buffer.from(hex, 'hex');
}
