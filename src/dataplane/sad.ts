import {
  type DeleteSa,
  ResultCode,
  Sa,
  type SaCounters,
  type SaState,
  type UpdateSa,
} from '../proto/index.ts';
import { type Author, differingFields, Refusal } from '../server/index.ts';
import type { DeviceMtus } from './device-mtus.ts';
import type { Handle, NativeEngine } from './native.ts';
import { type GroupNumber, type SaGroup, SaGroups } from './sa-groups.ts';
import {
  describeSa,
  hasSameScope,
  movedSa,
  nativeSaOf,
  SaReading,
  type SaRecord,
  saKey,
  withoutKeys,
} from './sa-record.ts';
import {
  checkOuterPair,
  parseOuter,
  parseSaName,
  parseSaRequest,
  parseUdp,
  type SaContext,
  type SaName,
  type SaRequest,
} from './sa-request.ts';
import { noScope } from './scopes.ts';

export type SadOptions = SaContext & {
  readonly engine: NativeEngine;
  readonly now: () => number;
  readonly maxSas: number;
  readonly mtus: Pick<DeviceMtus, 'changed' | 'removed'>;
};

function notOurs(name: SaName): Refusal {
  return new Refusal(ResultCode.RESULT_CODE_SPI_COLLISION, `${describeSa(name)} belongs to another owner`);
}

/** The Security Association Database: what is installed in the engine, and for whom. */
export class Sad {
  readonly #options: SadOptions;
  readonly #byKey = new Map<string, SaRecord>();
  readonly #byHandle = new Map<Handle, SaRecord>();
  /** Where SAs were before they moved: policies name them so until they follow. */
  readonly #byFormerKey = new Map<string, Handle>();
  /** How many inbound SAs have an SPI. */
  readonly #inboundSpis = new Map<number, number>();
  readonly #reading = new SaReading();
  readonly #groups = new SaGroups();

  constructor(options: SadOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /**
   * Installs an SA; one that is there already with the same keys and parameters is left alone.
   * @throws Refusal
   */
  add(sa: Sa | undefined, author: Author): { record: SaRecord; request: SaRequest; isUnchanged: boolean } {
    const { engine, now, maxSas } = this.#options;
    const request = parseSaRequest(sa, this.#options);
    const { name, device } = request;
    const existing = this.#byKey.get(saKey(name));
    if (existing !== undefined) {
      this.#checkSame(existing, request, author);
      return { record: existing, request, isUnchanged: true };
    }
    this.#checkNotMoved(request);
    if (this.#byKey.size >= maxSas) {
      throw new Refusal(ResultCode.RESULT_CODE_CAPACITY, `${describeSa(name)}: all ${maxSas} SAs are in use`);
    }
    const group = this.#join(name, request.sa, author.owner);
    let handle: Handle;
    try {
      handle = engine.addSa(nativeSaOf(request, group));
    } catch (error) {
      this.#groups.leave(group);
      throw error;
    }
    const record = {
      ...author,
      name,
      device,
      group,
      handle,
      listed: withoutKeys(request.sa),
      installedAtMs: now(),
      formerKeys: [],
    };
    this.#insert(record);
    if (!name.isInbound) this.#options.mtus.changed(handle, device);
    return { record, request, isUnchanged: false };
  }

  #checkSame(existing: SaRecord, { sa, name }: SaRequest, author: Author): void {
    if (existing.owner !== author.owner) throw notOurs(name);
    if (!this.#options.engine.hasKeys(existing.handle, sa.encryptionKey, sa.integrityKey)) {
      throw new Refusal(ResultCode.RESULT_CODE_SPI_COLLISION, `${describeSa(name)} exists with other keys`);
    }
    const differing = differingFields(existing.listed, withoutKeys(sa));
    if (differing.length > 0) {
      throw new Refusal(
        ResultCode.RESULT_CODE_SPI_COLLISION,
        `${describeSa(name)} exists with another ${differing.join(', ')}: delete it first`,
      );
    }
  }

  /** A key is used once: not by an SA that moved, and by the same one where it was before. */
  #checkNotMoved({ sa, name }: SaRequest): void {
    const moved = this.#byHandle.get(this.#byFormerKey.get(saKey(name)) ?? 0);
    if (moved === undefined) return;
    if (!this.#options.engine.hasKeys(moved.handle, sa.encryptionKey, sa.integrityKey)) return;
    throw new Refusal(
      ResultCode.RESULT_CODE_SPI_COLLISION,
      `${describeSa(name)} has moved and has these keys still, as ${describeSa(moved.name)}: update or delete that one`,
    );
  }

  /**
   * Moves an SA to other endpoints; keys, sequence numbers, replay state and counters stay.
   * @throws Refusal
   */
  update(update: UpdateSa, author: Author): SaRecord {
    const name = parseSaName(update.id);
    const record = this.#owned(name, author);
    if (record === undefined)
      throw new Refusal(ResultCode.RESULT_CODE_NOT_FOUND, `${describeSa(name)} is not there`);
    const source = parseOuter(update.newSource, 'new outer source');
    const destination = parseOuter(update.newDestination, 'new outer destination');
    checkOuterPair(source, destination, this.#options.hasIpv6);
    const udp = parseUdp(update.newUdpEncapsulation, name, this.#options.encapPort);
    const moved = { ...name, destination };
    if (destination !== name.destination && this.#byKey.has(saKey(moved))) {
      throw new Refusal(ResultCode.RESULT_CODE_SPI_COLLISION, `${describeSa(moved)} exists already`);
    }
    const reqid = update.newReqid === 0 ? record.listed.reqid : update.newReqid;
    const group = this.#join(moved, { ...record.listed, reqid }, author.owner);
    this.#options.engine.moveSa(record.handle, {
      source,
      destination,
      isUdp: udp !== undefined,
      sourcePort: udp?.sourcePort ?? 0,
      destinationPort: udp?.destinationPort ?? 0,
      group,
    });
    this.#groups.leave(record.group);
    const listed = movedSa(record.listed, { source, destination, udp, reqid });
    const formerKey = saKey(name);
    const formerKeys = [...record.formerKeys.filter((key) => key !== formerKey), formerKey];
    const next = { ...record, ...author, name: moved, group, listed, formerKeys };
    this.#byFormerKey.set(formerKey, record.handle);
    this.#byKey.delete(formerKey);
    this.#byKey.set(saKey(moved), next);
    this.#byHandle.set(record.handle, next);
    if (!name.isInbound) this.#options.mtus.changed(record.handle, record.device);
    return next;
  }

  /** @throws Refusal for another owner's; undefined when there is none. */
  find(request: DeleteSa, author: Author): SaRecord | undefined {
    return this.#owned(parseSaName(request.id), author);
  }

  /**
   * As `find`, after what has come for an inbound SA was delivered: charon deletes a replaced one when its
   * peer has stopped sending, and a process that waits for a processor may not have seen all of it.
   */
  findToDelete(request: DeleteSa, author: Author): SaRecord | undefined {
    const record = this.find(request, author);
    if (record === undefined || !record.name.isInbound) return record;
    this.#options.engine.receive();
    // A packet may have been its last one.
    return this.find(request, author);
  }

  /** Removes an SA and wipes its keys. */
  remove(record: SaRecord): SaCounters {
    const { name } = record;
    if (!name.isInbound) this.#options.mtus.removed(record.handle, record.device);
    this.#groups.leave(record.group);
    this.#byKey.delete(saKey(name));
    this.#byHandle.delete(record.handle);
    for (const key of record.formerKeys) {
      if (this.#byFormerKey.get(key) === record.handle) this.#byFormerKey.delete(key);
    }
    if (name.isInbound) {
      const left = (this.#inboundSpis.get(name.spi) ?? 1) - 1;
      if (left === 0) this.#inboundSpis.delete(name.spi);
      else this.#inboundSpis.set(name.spi, left);
    }
    return this.#reading.remove(this.#options.engine, record.handle).counters();
  }

  byHandle(handle: Handle): SaRecord | undefined {
    return this.#byHandle.get(handle);
  }

  /**
   * The outbound SA a PROTECT policy's template names; or one that was there and moved, so that packets
   * go on until the policy follows.
   */
  findOutbound(owner: string, name: Omit<SaName, 'isInbound'>): SaRecord | undefined {
    const key = saKey({ ...name, isInbound: false });
    const record = this.#byKey.get(key) ?? this.#byHandle.get(this.#byFormerKey.get(key) ?? 0);
    return record?.owner === owner ? record : undefined;
  }

  /** The inbound SA of a protocol, SPI and destination, whatever its scope. */
  findInbound(owner: string, name: Pick<SaName, 'protocol' | 'spi' | 'destination'>): SaRecord | undefined {
    const record = this.#byKey.get(saKey({ ...noScope, ...name, isInbound: true }));
    return record?.owner === owner ? record : undefined;
  }

  /** What policies may ask of the inbound SAs of this number. */
  group(number: GroupNumber): SaGroup | undefined {
    return this.#groups.get(number);
  }

  hasInboundSpi(spi: number): boolean {
    return this.#inboundSpis.has(spi);
  }

  /** Those of one owner, or all of them; as they are now. */
  list(owner: string): readonly SaRecord[] {
    const all = [...this.#byKey.values()];
    return owner === '' ? all : all.filter((record) => record.owner === owner);
  }

  counters(record: SaRecord): SaCounters {
    return this.#reading.read(this.#options.engine, record.handle).counters();
  }

  /** When it last carried a packet, in milliseconds of `now`; before everything if it never did. */
  lastUseMs({ handle }: SaRecord): number {
    const { engine, now } = this.#options;
    return now() - this.#reading.read(engine, handle).idleMs();
  }

  /** Undefined if it was removed since it was listed. */
  state(
    record: SaRecord,
    options: { readonly nonce: Uint8Array; readonly isCountersOnly: boolean },
  ): SaState | undefined {
    const { engine, now } = this.#options;
    const { handle, listed } = record;
    if (!this.#byHandle.has(handle)) return undefined;
    const reading = this.#reading.read(engine, handle);
    const state = {
      sa: options.isCountersOnly ? { ...Sa.create(), id: listed.id } : listed,
      ownerId: record.owner,
      charonInstanceId: Buffer.from(record.charonInstanceId),
      keyFingerprint: options.nonce.length > 0 ? engine.fingerprint(handle, options.nonce) : Buffer.alloc(0),
      ageMs: BigInt(Math.round(now() - record.installedAtMs)),
      counters: reading.counters(),
    };
    return { ...state, ...reading.sequences(record.name.isInbound, () => engine.readReplay(handle)) };
  }

  #join(name: SaName, { mode, reqid, id }: Sa, owner: string): GroupNumber {
    if (!name.isInbound || id === undefined) return 0;
    const { protocol } = id;
    const spi = reqid === 0 ? name.spi : 0;
    return this.#groups.join({ owner, protocol, mode, reqid, spi, destination: name.destination });
  }

  #owned(name: SaName, author: Author): SaRecord | undefined {
    const record = this.#byKey.get(saKey(name));
    if (record !== undefined && record.owner !== author.owner) throw notOurs(name);
    return record !== undefined && hasSameScope(record.name, name) ? record : undefined;
  }

  #insert(record: SaRecord): void {
    this.#byKey.set(saKey(record.name), record);
    this.#byHandle.set(record.handle, record);
    const { isInbound, spi } = record.name;
    if (isInbound) this.#inboundSpis.set(spi, (this.#inboundSpis.get(spi) ?? 0) + 1);
  }
}
