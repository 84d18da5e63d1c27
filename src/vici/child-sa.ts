import { FieldReader } from './field-reader.ts';
import type { ViciSection } from './section.ts';

/** charon's states of a CHILD_SA, and any that a newer one has. */
export type ChildState =
  | 'CREATED'
  | 'ROUTED'
  | 'INSTALLING'
  | 'INSTALLED'
  | 'UPDATING'
  | 'REKEYING'
  | 'REKEYED'
  | 'RETRYING'
  | 'DELETING'
  | 'DELETED'
  | 'DESTROYING'
  | (string & Record<never, never>);

export type ViciMark = { readonly value: number; readonly mask: number };

/** An algorithm as charon names it: AES_GCM_16 with 128 bits. */
export type ViciAlgorithm = { readonly name: string; readonly keyBits: number | undefined };

/** One direction of a CHILD_SA, as far as VICI tells. */
export type ChildSaHalf = {
  readonly spi: number;
  readonly cpi: number | undefined;
  readonly mark: ViciMark | undefined;
  readonly ifId: number | undefined;
  readonly bytes: bigint;
  readonly packets: bigint;
  /** Undefined: never used. */
  readonly usedSecondsAgo: number | undefined;
};

/** What a CHILD_SA has once it is installed. The keys are not among it: VICI has none. */
export type InstalledChildSa = {
  readonly protocol: 'ESP' | 'AH' | (string & Record<never, never>);
  /** UDP encapsulation. */
  readonly encap: boolean;
  readonly esn: boolean;
  readonly inbound: ChildSaHalf;
  /** A DELETED one still names an SPI that the kernel backend has removed. */
  readonly outbound: ChildSaHalf;
  readonly encryption: ViciAlgorithm | undefined;
  readonly integrity: ViciAlgorithm | undefined;
  /** Of the last rekeying, when it had a key exchange. */
  readonly dhGroup: string | undefined;
  /** Further ones of RFC 9370, in order; since 6.0. */
  readonly additionalKeyExchanges: readonly string[];
  /** Of a per-CPU CHILD_SA (RFC 9611); since 6.0. */
  readonly cpu: number | undefined;
  readonly installedSecondsAgo: number | undefined;
  /** Negative when it is over. */
  readonly rekeyInSeconds: number | undefined;
  readonly lifeInSeconds: number | undefined;
};

export type ChildSa = {
  readonly name: string;
  readonly uniqueId: number;
  /** Recycled at once: identifies nothing by itself. */
  readonly reqid: number;
  readonly state: ChildState;
  /** TUNNEL, TRANSPORT, BEET ... */
  readonly mode: string | undefined;
  /** Security label, hexadecimal. */
  readonly label: string | undefined;
  readonly localTs: readonly string[];
  readonly remoteTs: readonly string[];
  /** Undefined before INSTALLED, and in between, as in UPDATING. */
  readonly installed: InstalledChildSa | undefined;
};

/** Parses one CHILD_SA of a list-sa or child event; throws AgentError `malformed`. */
export function parseChildSa(section: ViciSection): ChildSa {
  const fields = new FieldReader(
    section,
    () => `CHILD_SA ${section.text('name')} #${section.text('uniqueid')}`,
  );
  return {
    name: fields.text('name'),
    uniqueId: fields.number('uniqueid'),
    reqid: fields.number('reqid'),
    state: fields.text('state'),
    mode: fields.optionalText('mode'),
    label: fields.optionalText('label'),
    localTs: fields.list('local-ts'),
    remoteTs: fields.list('remote-ts'),
    installed: fields.optionalText('protocol') === undefined ? undefined : parseInstalled(fields),
  };
}

/** Reads `<use>-alg` and `<use>-keysize`. */
export function parseAlgorithm(fields: FieldReader, use: 'encr' | 'integ'): ViciAlgorithm | undefined {
  const name = fields.optionalText(`${use}-alg`);
  return name === undefined ? undefined : { name, keyBits: fields.optionalNumber(`${use}-keysize`) };
}

const ADDITIONAL_KEY_EXCHANGES = ['ake1', 'ake2', 'ake3', 'ake4', 'ake5', 'ake6', 'ake7'] as const;

/** Reads `ake1` to `ake7`. */
export function parseAdditionalKeyExchanges(fields: FieldReader): readonly string[] {
  if (fields.optionalText('ake1') === undefined) return [];
  return ADDITIONAL_KEY_EXCHANGES.map((name) => fields.optionalText(name)).filter(
    (method) => method !== undefined,
  );
}

function parseInstalled(fields: FieldReader): InstalledChildSa {
  return {
    protocol: fields.text('protocol'),
    encap: fields.flag('encap'),
    esn: fields.optionalText('esn') === '1',
    inbound: parseHalf(fields, 'in'),
    outbound: parseHalf(fields, 'out'),
    encryption: parseAlgorithm(fields, 'encr'),
    integrity: parseAlgorithm(fields, 'integ'),
    dhGroup: fields.optionalText('dh-group'),
    additionalKeyExchanges: parseAdditionalKeyExchanges(fields),
    cpu: fields.optionalNumber('cpu'),
    installedSecondsAgo: fields.optionalNumber('install-time'),
    rekeyInSeconds: fields.optionalNumber('rekey-time'),
    lifeInSeconds: fields.optionalNumber('life-time'),
  };
}

function parseHalf(fields: FieldReader, way: 'in' | 'out'): ChildSaHalf {
  const mark = fields.optionalHex(`mark-${way}`);
  return {
    spi: fields.hex(`spi-${way}`),
    cpi: fields.optionalHex(`cpi-${way}`),
    mark:
      mark === undefined
        ? undefined
        : { value: mark, mask: fields.optionalHex(`mark-mask-${way}`) ?? 0xffffffff },
    ifId: fields.optionalHex(`if-id-${way}`),
    bytes: fields.counter(`bytes-${way}`),
    packets: fields.counter(`packets-${way}`),
    usedSecondsAgo: fields.optionalNumber(`use-${way}`),
  };
}
