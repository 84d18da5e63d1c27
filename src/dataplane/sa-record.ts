import { Protocol, type Sa, type SaCounters, type SaId, type SaState } from '../proto/index.ts';
import { type Address, encodeAddress, formatAddress } from './address.ts';
import { type Handle, type NativeEngine, type NativeSa, NEVER, SaWord } from './native.ts';
import type { GroupNumber } from './sa-groups.ts';
import type { SaName, SaRequest, UdpPorts } from './sa-request.ts';
import { type DeviceIndex, describeScope, noScope, type Scope, scopeKey } from './scopes.ts';
import { flattenSelectors } from './selector.ts';

/** An installed SA. Replaced, not changed, when it moves, so that a listing under way stays whole. */
export type SaRecord = {
  readonly handle: Handle;
  readonly name: SaName;
  readonly device: DeviceIndex;
  /** 0 for an outbound SA. */
  readonly group: GroupNumber;
  readonly owner: string;
  readonly charonInstanceId: Uint8Array;
  /** As it is listed: without keys. */
  readonly listed: Sa;
  readonly installedAtMs: number;
  /** Keys under which it was installed before it moved. */
  readonly formerKeys: readonly string[];
};

/**
 * The key of an SA in tables. One namespace for all owners, and for inbound SAs of all scopes: packets
 * carry neither.
 */
export function saKey(name: SaName): string {
  const { isInbound, protocol, spi, destination } = name;
  const id = `${protocol} ${spi} ${destination}`;
  return isInbound ? `in ${id}` : `out ${id} ${scopeKey(scopeOf(name))}`;
}

/** What of a scope names an SA. */
function scopeOf({ ifId, mark }: SaName): Scope {
  return { ...noScope, ifId, mark };
}

export function hasSameScope(a: SaName, b: SaName): boolean {
  return scopeKey(scopeOf(a)) === scopeKey(scopeOf(b));
}

/** "inbound ESP SA c0ffee00 to 198.18.0.1", for messages and logs. */
export function describeSa(name: SaName): string {
  const protocol = name.protocol === Protocol.PROTOCOL_AH ? 'AH' : 'ESP';
  const spi = name.spi.toString(16).padStart(8, '0');
  const scope = describeScope(scopeOf(name));
  return (
    `${name.isInbound ? 'inbound' : 'outbound'} ${protocol} SA ${spi} to ${formatAddress(name.destination)}` +
    (scope === '' ? '' : ` (${scope})`)
  );
}

const noKey = Buffer.alloc(0);

export function withoutKeys(sa: Sa): Sa {
  return { ...sa, encryptionKey: noKey, integrityKey: noKey };
}

export function saIdOf(record: SaRecord): SaId | undefined {
  return record.listed.id;
}

/** The listed form after a move to other endpoints. */
export function movedSa(
  sa: Sa,
  to: {
    readonly source: Address;
    readonly destination: Address;
    readonly udp: UdpPorts | undefined;
    readonly reqid: number;
  },
): Sa {
  return {
    ...sa,
    id: sa.id && { ...sa.id, destination: encodeAddress(to.destination) },
    source: encodeAddress(to.source),
    udpEncapsulation: to.udp && { ...to.udp },
    reqid: to.reqid,
  };
}

export function nativeSaOf(request: SaRequest, group: GroupNumber): NativeSa {
  const { sa, name, udp, softLifetime, hardLifetime } = request;
  return {
    isInbound: name.isInbound,
    protocol: name.protocol,
    isTransport: request.isTransport,
    spi: name.spi,
    source: request.source,
    destination: name.destination,
    isUdp: udp !== undefined,
    sourcePort: udp?.sourcePort ?? 0,
    destinationPort: udp?.destinationPort ?? 0,
    copyDf: sa.copyDf,
    copyEcn: sa.copyEcn,
    copyDscpOut: request.copyDscpOut,
    copyDscpIn: request.copyDscpIn,
    device: request.device,
    group,
    mark: request.outerMark,
    softBytes: softLifetime.bytes,
    softPackets: softLifetime.packets,
    hardBytes: hardLifetime.bytes,
    hardPackets: hardLifetime.packets,
    isEsn: sa.esn,
    nextSequence: request.nextSequence,
    tfcLength: sa.tfc,
    replayWindow: sa.replayWindow,
    replayHighest: request.replayHighest,
    replayBitmap: request.replayBitmap,
    sourceSelectors: flattenSelectors(request.sourceSelectors),
    destinationSelectors: flattenSelectors(request.destinationSelectors),
    encryption: sa.encryption,
    encryptionKey: sa.encryptionKey,
    integrity: sa.integrity,
    integrityKey: sa.integrityKey,
  };
}

/** What the engine says of an SA now. */
export class SaReading {
  readonly #words = new BigUint64Array(SaWord.count);

  read(engine: NativeEngine, handle: Handle): this {
    engine.readSa(handle, this.#words);
    return this;
  }

  /** Reads for the last time. */
  remove(engine: NativeEngine, handle: Handle): this {
    engine.removeSa(handle, this.#words);
    return this;
  }

  /** Infinite when it never carried a packet. */
  idleMs(): number {
    const idleMs = this.#word(SaWord.idleMs);
    return idleMs === NEVER ? Number.POSITIVE_INFINITY : Number(idleMs);
  }

  counters(): SaCounters {
    const idleMs = this.#word(SaWord.idleMs);
    return {
      bytes: this.#word(SaWord.bytes),
      packets: this.#word(SaWord.packets),
      idleMs: idleMs === NEVER ? undefined : idleMs,
      replayDrops: this.#word(SaWord.replayDrops),
      integrityFailures: this.#word(SaWord.integrityFailures),
      selectorDrops: this.#word(SaWord.selectorDrops),
      malformedDrops: this.#word(SaWord.malformedDrops),
    };
  }

  sequences(isInbound: boolean, bitmap: () => Buffer): Pick<SaState, 'nextSequence' | 'replayState'> {
    if (!isInbound) return { nextSequence: this.#word(SaWord.nextSequence), replayState: undefined };
    return {
      nextSequence: 0n,
      replayState: { highestSequence: this.#word(SaWord.highestSequence), bitmap: bitmap() },
    };
  }

  #word(index: number): bigint {
    return this.#words[index] ?? 0n;
  }
}
