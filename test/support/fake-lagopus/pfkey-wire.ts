/**
 * PF_KEYv2 as vsw reads and writes it: RFC 2367 with KAME's policies and Linux's NAT traversal, in the
 * host's byte order. Numbers: agents/tunnel/ipsec/pfkey/pfkeyv2_types.go, which are Linux's pfkeyv2.h.
 */
export const MessageType = {
  GETSPI: 1,
  UPDATE: 2,
  ADD: 3,
  DELETE: 4,
  GET: 5,
  ACQUIRE: 6,
  REGISTER: 7,
  EXPIRE: 8,
  FLUSH: 9,
  DUMP: 10,
  X_SPDUPDATE: 13,
  X_SPDADD: 14,
  X_SPDDELETE: 15,
  X_SPDGET: 16,
  X_SPDDUMP: 18,
  X_SPDFLUSH: 19,
} as const;

export const ExtensionType = {
  SA: 1,
  LIFETIME_CURRENT: 2,
  LIFETIME_HARD: 3,
  LIFETIME_SOFT: 4,
  ADDRESS_SRC: 5,
  ADDRESS_DST: 6,
  ADDRESS_PROXY: 7,
  KEY_AUTH: 8,
  KEY_ENCRYPT: 9,
  SUPPORTED_AUTH: 14,
  SUPPORTED_ENCRYPT: 15,
  SPIRANGE: 16,
  X_POLICY: 18,
  X_SA2: 19,
  X_NAT_T_TYPE: 20,
  X_NAT_T_SPORT: 21,
  X_NAT_T_DPORT: 22,
} as const;

export const HEADER_BYTES = 16;
const SATYPE_ESP = 3;

export type Header = {
  readonly version: number;
  readonly type: number;
  readonly errno: number;
  readonly satype: number;
  readonly words: number;
  readonly seq: number;
  readonly pid: number;
};
export type SaExtension = {
  readonly spi: number;
  readonly replay: number;
  readonly state: number;
  readonly auth: number;
  readonly encrypt: number;
  readonly flags: number;
};
export type Lifetime = {
  readonly allocations: number;
  readonly bytes: bigint;
  readonly addTime: bigint;
  readonly useTime: bigint;
};
export type Address = {
  readonly protocol: number;
  readonly prefix: number;
  readonly port: number;
  readonly ip: string;
};
export type Key = { readonly bits: number; readonly bytes: Buffer };
export type PolicyExtension = {
  readonly type: number;
  readonly direction: number;
  readonly id: number;
  readonly priority: number;
  readonly request?: {
    readonly protocol: number;
    readonly mode: number;
    readonly level: number;
    readonly reqid: number;
  };
  readonly tunnel?: { readonly source: string; readonly destination: string };
};

export type Extensions = {
  sa?: SaExtension;
  current?: Lifetime;
  hard?: Lifetime;
  soft?: Lifetime;
  source?: Address;
  destination?: Address;
  authKey?: Key;
  encryptKey?: Key;
  range?: { readonly min: number; readonly max: number };
  policy?: PolicyExtension;
  natType?: number;
  natSourcePort?: number;
  natDestinationPort?: number;
};

/** What makes vsw close the connection without a reply. */
export class CloseConnection extends Error {}

class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new CloseConnection('unexpected end of the message');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

export function readHeader(packet: Buffer): Header {
  if (packet.length < HEADER_BYTES) throw new CloseConnection('short message');
  return {
    version: packet.readUInt8(0),
    type: packet.readUInt8(1),
    errno: packet.readUInt8(2),
    satype: packet.readUInt8(3),
    words: packet.readUInt16LE(4),
    seq: packet.readUInt32LE(8),
    pid: packet.readUInt32LE(12),
  };
}

/** Reads on by what each extension is, not by its stated length (pfkey_message.go). */
export function readExtensions(body: Buffer): Extensions {
  return readAll(body, readPolicy);
}

/** The same of what vsw sends, which in X_SPDGET and ACQUIRE has requests without addresses. */
export function readReply(body: Buffer): Extensions {
  return readAll(body, (words, cursor) => {
    if (words === 4) {
      const bytes = cursor.take(28);
      return { ...readPolicy(2, new Cursor(bytes)) };
    }
    return readPolicy(words, cursor);
  });
}

type PolicyReader = (words: number, cursor: Cursor) => PolicyExtension;

function readAll(body: Buffer, policy: PolicyReader): Extensions {
  const cursor = new Cursor(body);
  const extensions: Extensions = {};
  while (!cursor.isAtEnd) {
    const head = cursor.take(4);
    readExtension(extensions, head.readUInt16LE(2), head.readUInt16LE(0), cursor, policy);
  }
  return extensions;
}

function readExtension(
  into: Extensions,
  type: number,
  words: number,
  cursor: Cursor,
  policy: PolicyReader,
): void {
  switch (type) {
    case ExtensionType.SA: {
      const bytes = cursor.take(12);
      into.sa = {
        spi: bytes.readUInt32BE(0),
        replay: bytes.readUInt8(4),
        state: bytes.readUInt8(5),
        auth: bytes.readUInt8(6),
        encrypt: bytes.readUInt8(7),
        flags: bytes.readUInt32LE(8),
      };
      return;
    }
    case ExtensionType.LIFETIME_CURRENT:
      into.current = readLifetime(cursor);
      return;
    case ExtensionType.LIFETIME_HARD:
      into.hard = readLifetime(cursor);
      return;
    case ExtensionType.LIFETIME_SOFT:
      into.soft = readLifetime(cursor);
      return;
    case ExtensionType.ADDRESS_SRC:
      into.source = readAddress(words, cursor);
      return;
    case ExtensionType.ADDRESS_DST:
      into.destination = readAddress(words, cursor);
      return;
    case ExtensionType.ADDRESS_PROXY:
      readAddress(words, cursor);
      return;
    case ExtensionType.KEY_AUTH:
      into.authKey = readKey(words, cursor);
      return;
    case ExtensionType.KEY_ENCRYPT:
      into.encryptKey = readKey(words, cursor);
      return;
    case ExtensionType.SPIRANGE: {
      const bytes = cursor.take(12);
      into.range = { min: bytes.readUInt32LE(0), max: bytes.readUInt32LE(4) };
      return;
    }
    case ExtensionType.X_POLICY:
      into.policy = policy(words, cursor);
      return;
    case ExtensionType.X_SA2:
      cursor.take(12);
      return;
    case ExtensionType.X_NAT_T_TYPE:
      into.natType = cursor.take(4).readUInt8(0);
      return;
    case ExtensionType.X_NAT_T_SPORT:
      into.natSourcePort = cursor.take(4).readUInt16BE(0);
      return;
    case ExtensionType.X_NAT_T_DPORT:
      into.natDestinationPort = cursor.take(4).readUInt16BE(0);
      return;
    default:
      throw new CloseConnection(`extension ${type}`);
  }
}

function readLifetime(cursor: Cursor): Lifetime {
  const bytes = cursor.take(28);
  return {
    allocations: bytes.readUInt32LE(0),
    bytes: bytes.readBigUInt64LE(4),
    addTime: bytes.readBigUInt64LE(12),
    useTime: bytes.readBigUInt64LE(20),
  };
}

function readAddress(words: number, cursor: Cursor): Address {
  const head = cursor.take(4);
  if ((words - 1) * 8 > 16) throw new CloseConnection('IPv6');
  return { protocol: head.readUInt8(0), prefix: head.readUInt8(1), ...readSockaddr(cursor) };
}

function readSockaddr(cursor: Cursor): { port: number; ip: string } {
  const bytes = cursor.take(16);
  if (bytes.readUInt16LE(0) !== 2) throw new CloseConnection('address family');
  return { port: bytes.readUInt16BE(2), ip: [...bytes.subarray(4, 8)].join('.') };
}

function readKey(words: number, cursor: Cursor): Key {
  const head = cursor.take(4);
  if (words < 1) throw new CloseConnection('key length');
  return { bits: head.readUInt16LE(0), bytes: Buffer.from(cursor.take((words - 1) * 8)) };
}

function readPolicy(words: number, cursor: Cursor): PolicyExtension {
  const head = cursor.take(12);
  const policy = {
    type: head.readUInt16LE(0),
    direction: head.readUInt8(2),
    id: head.readUInt32LE(4),
    priority: head.readInt32LE(8),
  };
  const rest = (words - 2) * 8;
  if (rest === 0) return policy;
  // A request without tunnel addresses is refused: ESP in tunnel mode only.
  if (rest <= 16) throw new CloseConnection('policy request');
  const bytes = cursor.take(16);
  const request = {
    protocol: bytes.readUInt16LE(2),
    mode: bytes.readUInt8(4),
    level: bytes.readUInt8(5),
    reqid: bytes.readUInt32LE(8),
  };
  if (request.mode !== 2) throw new CloseConnection('policy request mode');
  const source = readSockaddr(cursor).ip;
  return { ...policy, request, tunnel: { source, destination: readSockaddr(cursor).ip } };
}

export type Extension = { readonly type: number; readonly body: Buffer };

export function writeMessage(header: Header, extensions: readonly Extension[]): Buffer {
  const parts = extensions.map(({ type, body }) => {
    const head = Buffer.alloc(4);
    head.writeUInt16LE((body.length + 4) / 8, 0);
    head.writeUInt16LE(type, 2);
    return Buffer.concat([head, body]);
  });
  const head = Buffer.alloc(HEADER_BYTES);
  const length = HEADER_BYTES + parts.reduce((sum, part) => sum + part.length, 0);
  head.writeUInt8(header.version, 0);
  head.writeUInt8(header.type, 1);
  head.writeUInt8(header.errno, 2);
  head.writeUInt8(header.satype, 3);
  head.writeUInt16LE(length / 8, 4);
  head.writeUInt32LE(header.seq, 8);
  head.writeUInt32LE(header.pid, 12);
  return Buffer.concat([head, ...parts]);
}

export function upcallHeader(type: number): Header {
  return { version: 2, type, errno: 0, satype: SATYPE_ESP, words: 0, seq: 0, pid: 0 };
}

export const write = {
  sa({ spi, replay, state, auth, encrypt, flags }: SaExtension): Extension {
    const body = Buffer.alloc(12);
    body.writeUInt32BE(spi, 0);
    body.writeUInt8(replay, 4);
    body.writeUInt8(state, 5);
    body.writeUInt8(auth, 6);
    body.writeUInt8(encrypt, 7);
    body.writeUInt32LE(flags, 8);
    return { type: ExtensionType.SA, body };
  },

  lifetime(type: number, { allocations, bytes, addTime, useTime }: Lifetime): Extension {
    const body = Buffer.alloc(28);
    body.writeUInt32LE(allocations, 0);
    body.writeBigUInt64LE(BigInt.asUintN(64, bytes), 4);
    body.writeBigUInt64LE(BigInt.asUintN(64, addTime), 12);
    body.writeBigUInt64LE(BigInt.asUintN(64, useTime), 20);
    return { type, body };
  },

  address(type: number, { protocol, prefix, port, ip }: Address): Extension {
    const body = Buffer.concat([Buffer.from([protocol, prefix, 0, 0]), sockaddr(ip, port)]);
    return { type, body };
  },

  key(type: number, bytes: Buffer): Extension {
    const body = Buffer.alloc(4 + Math.ceil(bytes.length / 8) * 8);
    body.writeUInt16LE(bytes.length * 8, 0);
    bytes.copy(body, 4);
    return { type, body };
  },

  policy({ type, direction, id, priority, request, tunnel }: PolicyExtension): Extension {
    const head = Buffer.alloc(28);
    head.writeUInt16LE(type, 0);
    head.writeUInt8(direction, 2);
    head.writeUInt32LE(id, 4);
    head.writeInt32LE(priority, 8);
    head.writeUInt16LE(tunnel === undefined ? 16 : 48, 12);
    head.writeUInt16LE(request?.protocol ?? 0, 14);
    head.writeUInt8(request?.mode ?? 0, 16);
    head.writeUInt8(request?.level ?? 0, 17);
    head.writeUInt32LE(request?.reqid ?? 0, 20);
    const ends = tunnel === undefined ? [] : [sockaddr(tunnel.source, 0), sockaddr(tunnel.destination, 0)];
    return { type: ExtensionType.X_POLICY, body: Buffer.concat([head, ...ends]) };
  },

  natType(type: number): Extension {
    return { type: ExtensionType.X_NAT_T_TYPE, body: Buffer.from([type, 0, 0, 0]) };
  },

  natPort(type: number, port: number): Extension {
    const body = Buffer.alloc(4);
    body.writeUInt16BE(port, 0);
    return { type, body };
  },

  algorithms(
    type: number,
    all: readonly {
      readonly id: number;
      readonly ivBytes: number;
      readonly min: number;
      readonly max: number;
    }[],
  ): Extension {
    const body = Buffer.alloc(4 + all.length * 8);
    for (const [at, { id, ivBytes, min, max }] of all.entries()) {
      body.writeUInt8(id, 4 + at * 8);
      body.writeUInt8(ivBytes, 5 + at * 8);
      body.writeUInt16LE(min, 6 + at * 8);
      body.writeUInt16LE(max, 8 + at * 8);
    }
    return { type, body };
  },
};

function sockaddr(ip: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(2, 0);
  bytes.writeUInt16BE(port, 2);
  Buffer.from(ip.split('.').map(Number)).copy(bytes, 4);
  return bytes;
}
