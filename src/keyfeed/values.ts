import { AgentError, SecretBytes } from '../util/index.ts';
import { decodeAddress, decodeFamily, encodeAddress } from './address.ts';
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import type {
  FeedLifetime,
  FeedMark,
  FeedTrafficSelector,
  Host,
  PolicyUsageEntry,
  UsageEntry,
} from './messages.ts';
import { type CodeTable, POLICY_DIRECTION, PROTOCOL, SA_DIRECTION } from './wire.ts';

const NEVER = 0xffff_ffff_ffff_ffffn;

/** What stands for no mark where the wire has room for one. */
const NO_MARK: FeedMark = { value: 0, mask: 0 };

/** A value of an attribute, both ways. `decode` may leave bytes: the caller refuses them. */
export type ValueCodec<T> = {
  readonly decode: (reader: ByteReader) => T;
  readonly encode: (writer: ByteWriter, value: T) => void;
};

export const u16: ValueCodec<number> = {
  decode: (reader) => reader.u16(),
  encode: (writer, value) => writer.u16(value),
};

export const u32: ValueCodec<number> = {
  decode: (reader) => reader.u32(),
  encode: (writer, value) => writer.u32(value),
};

export const u64: ValueCodec<bigint> = {
  decode: (reader) => reader.u64(),
  encode: (writer, value) => writer.u64(value),
};

export const text: ValueCodec<string> = {
  decode: (reader) => reader.text(),
  encode: (writer, value) => writer.bytes(Buffer.from(value)),
};

/** charon takes names as they are configured, in any encoding: what is not UTF-8 is no reason to hang up. */
export const name: ValueCodec<string> = {
  decode: (reader) => Buffer.from(reader.bytes(reader.remaining)).toString(),
  encode: (writer, value) => writer.bytes(Buffer.from(value)),
};

/** A copy of the bytes. */
export const bytes: ValueCodec<Uint8Array> = {
  decode: (reader) => Uint8Array.from(reader.bytes(reader.remaining)),
  encode: (writer, value) => writer.bytes(value),
};

/** A copy of a key; the frame it came in is wiped by whoever holds that. */
export const secret: ValueCodec<SecretBytes> = {
  decode: (reader) => new SecretBytes(reader.bytes(reader.remaining)),
  encode: (writer, value) => value.reveal((key) => writer.bytes(key)),
};

/** One byte, 0 or 1. */
export const flag: ValueCodec<boolean> = {
  decode: (reader) => {
    const value = reader.u8();
    if (value > 1) throw reader.malformed(`${value} is neither 0 nor 1`);
    return value === 1;
  },
  encode: (writer, value) => writer.u8(value ? 1 : 0),
};

/** Says something by being there. */
export const empty: ValueCodec<true> = { decode: () => true, encode: () => undefined };

/** 16 bytes as 32 hex digits. */
export const instance: ValueCodec<string> = {
  decode: (reader) => Buffer.from(reader.bytes(16)).toString('hex'),
  encode: (writer, value) => {
    if (!/^[0-9a-f]{32}$/.test(value)) {
      throw new AgentError(`instance "${value}" is not 32 hex digits`, { code: 'invalid-input' });
    }
    writer.bytes(Buffer.from(value, 'hex'));
  },
};

/** One byte with a name. */
export function u8Code<const Name extends string>(table: CodeTable<Name>): ValueCodec<Name> {
  return codeOf(table, 'u8');
}

/** Two bytes with a name. */
export function u16Code<const Name extends string>(table: CodeTable<Name>): ValueCodec<Name> {
  return codeOf(table, 'u16');
}

function codeOf<Name extends string>(table: CodeTable<Name>, width: 'u8' | 'u16'): ValueCodec<Name> {
  const names = new Map<number, Name>();
  for (const name in table) names.set(table[name], name);
  return {
    decode: (reader) => {
      const value = reader[width]();
      const name = names.get(value);
      if (name === undefined) throw reader.malformed(`${value} is none of ${[...names.keys()].join(', ')}`);
      return name;
    },
    encode: (writer, name) => writer[width](table[name]),
  };
}

const protocol = u8Code(PROTOCOL);
const saDirection = u8Code(SA_DIRECTION);
const policyDirection = u8Code(POLICY_DIRECTION);

export const host: ValueCodec<Host> = {
  decode: (reader) => {
    const lengthBytes = decodeFamily(reader);
    const port = reader.u16();
    return { address: decodeAddress(reader, lengthBytes), port };
  },
  encode: (writer, { address, port }) => {
    const addressBytes = encodeAddress(address);
    encodeFamily(writer, addressBytes);
    writer.u16(port);
    writer.bytes(addressBytes);
  },
};

export const trafficSelector: ValueCodec<FeedTrafficSelector> = {
  decode: (reader) => {
    const lengthBytes = decodeFamily(reader);
    const ipProtocol = reader.u8();
    const ports = { first: reader.u16(), last: reader.u16() };
    return {
      firstAddress: decodeAddress(reader, lengthBytes),
      lastAddress: decodeAddress(reader, lengthBytes),
      protocol: ipProtocol,
      ports,
    };
  },
  encode: (writer, selector) => {
    const first = encodeAddress(selector.firstAddress);
    const last = encodeAddress(selector.lastAddress);
    if (first.length !== last.length) {
      throw new AgentError(`${selector.firstAddress} and ${selector.lastAddress} are of two families`, {
        code: 'invalid-input',
      });
    }
    encodeFamily(writer, first);
    writer.u8(selector.protocol);
    writer.u16(selector.ports.first);
    writer.u16(selector.ports.last);
    writer.bytes(first);
    writer.bytes(last);
  },
};

export const mark: ValueCodec<FeedMark> = {
  decode: (reader) => ({ value: reader.u32(), mask: reader.u32() }),
  encode: (writer, { value, mask }) => {
    writer.u32(value);
    writer.u32(mask);
  },
};

/** Soft and hard limits alternate on the wire; 0 is no limit. */
export const lifetimes: ValueCodec<{ readonly soft: FeedLifetime; readonly hard: FeedLifetime }> = {
  decode: (reader) => {
    const softSeconds = decodeLimit(reader);
    const hardSeconds = decodeLimit(reader);
    const softBytes = decodeLimit(reader);
    const hardBytes = decodeLimit(reader);
    const softPackets = decodeLimit(reader);
    const hardPackets = decodeLimit(reader);
    return {
      soft: { seconds: softSeconds, bytes: softBytes, packets: softPackets },
      hard: { seconds: hardSeconds, bytes: hardBytes, packets: hardPackets },
    };
  },
  encode: (writer, { soft, hard }) => {
    for (const limit of [soft.seconds, hard.seconds, soft.bytes, hard.bytes, soft.packets, hard.packets]) {
      writer.u64(limit ?? 0n);
    }
  },
};

export const usageEntry: ValueCodec<UsageEntry> = {
  decode: (reader) => ({
    protocol: protocol.decode(reader),
    direction: saDirection.decode(reader),
    spi: reader.u32(),
    destination: decodeAddress(reader, decodeFamily(reader)),
    bytes: reader.u64(),
    packets: reader.u64(),
    idleMs: decodeIdle(reader),
  }),
  encode: (writer, entry) => {
    const destination = encodeAddress(entry.destination);
    protocol.encode(writer, entry.protocol);
    saDirection.encode(writer, entry.direction);
    writer.u32(entry.spi);
    encodeFamily(writer, destination);
    writer.bytes(destination);
    writer.u64(entry.bytes);
    writer.u64(entry.packets);
    writer.u64(entry.idleMs ?? NEVER);
  },
};

export const policyUsageEntry: ValueCodec<PolicyUsageEntry> = {
  decode: (reader) => ({
    direction: policyDirection.decode(reader),
    source: trafficSelector.decode(reader),
    destination: trafficSelector.decode(reader),
    mark: markOrNone(mark.decode(reader)),
    ifId: reader.u32() || undefined,
    idleMs: decodeIdle(reader),
  }),
  encode: (writer, entry) => {
    policyDirection.encode(writer, entry.direction);
    trafficSelector.encode(writer, entry.source);
    trafficSelector.encode(writer, entry.destination);
    mark.encode(writer, entry.mark ?? NO_MARK);
    writer.u32(entry.ifId ?? 0);
    writer.u64(entry.idleMs ?? NEVER);
  },
};

function markOrNone(value: FeedMark): FeedMark | undefined {
  return value.value === NO_MARK.value && value.mask === NO_MARK.mask ? undefined : value;
}

function decodeLimit(reader: ByteReader): bigint | undefined {
  return reader.u64() || undefined;
}

function decodeIdle(reader: ByteReader): bigint | undefined {
  const idleMs = reader.u64();
  return idleMs === NEVER ? undefined : idleMs;
}

function encodeFamily(writer: ByteWriter, address: Uint8Array): void {
  writer.u8(address.length === 4 ? 4 : 6);
}
