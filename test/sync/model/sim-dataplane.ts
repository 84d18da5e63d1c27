import { createHmac } from 'node:crypto';
import {
  type ActualPolicy,
  type ActualSa,
  type KeylessSa,
  moveSa,
  type SaCounters,
  type SecurityPolicy,
  toReqId,
  toSpi,
} from '../../../src/sad/index.ts';
import type { DataplaneEvent, OperationResult } from '../../../src/sync/index.ts';
import { parametersOf, policyName, saName } from './names.ts';
import { entriesOf, type WireOperation } from './wire.ts';

export type HeldSa = {
  readonly sa: KeylessSa;
  /** Hex. */
  readonly key: string;
  readonly charonInstanceId: string;
  /** Outbound: the next to be sent. */
  nextSequence: bigint;
  /** Inbound: the highest accepted. */
  highest: bigint;
  readonly addedMs: number;
  /** When it last carried a packet. */
  usedMs: number;
};

export type HeldPolicy = {
  readonly policy: SecurityPolicy;
  readonly charonInstanceId: string;
  readonly putMs: number;
};

/** Told of everything that happens in the dataplane, when it happens. */
export type DataplaneWatcher = {
  readonly installed: (held: HeldSa, operation: WireOperation & { readonly kind: 'add-sa' }) => void;
  readonly moved: (held: HeldSa) => void;
  readonly deleted: (held: HeldSa) => void;
  readonly policyPut: (policy: SecurityPolicy) => void;
  readonly policyDeleted: (name: string) => void;
  readonly sent: (held: HeldSa, sequence: bigint) => void;
};

const NO_COUNTERS: SaCounters = {
  bytes: 0n,
  packets: 0n,
  idleMs: undefined,
  replayDrops: 0n,
  integrityFailures: 0n,
  selectorDrops: 0n,
  malformedDrops: 0n,
};

const OK = { kind: 'ok', isUnchanged: false } as const;
const UNCHANGED = { kind: 'ok', isUnchanged: true } as const;

function refused(
  code: 'temporary' | 'spi-collision' | 'not-found' | 'unsupported-feature',
  reason: string,
): OperationResult {
  return { kind: 'refused', code, reason };
}

/**
 * A dataplane as the contract (proto/lagopus/ipsec/v1) describes it, with one owner and with packets.
 * `crash` loses everything; nothing else but an operation or a lifetime's end removes an entry.
 */
export class SimDataplane {
  readonly sas = new Map<string, HeldSa>();
  readonly policies = new Map<string, HeldPolicy>();
  readonly takesReplayState: boolean;
  /** The entry on which every operation fails. */
  stuck: string | undefined;
  /** Told of lifetimes that end and sequence numbers that run out. */
  onEvent: (event: DataplaneEvent) => void = () => undefined;
  readonly #watcher: DataplaneWatcher;
  readonly #now: () => number;
  #revision = 0n;
  #boots = 1;
  #epoch = 0;
  #nextSpi = 0xc000_0000;
  /** Keys that came from nowhere. */
  #strangers = 0;

  constructor(watcher: DataplaneWatcher, now: () => number, takesReplayState: boolean) {
    this.#watcher = watcher;
    this.#now = now;
    this.takesReplayState = takesReplayState;
  }

  /** Grows with every change of an entry. */
  get revision(): bigint {
    return this.#revision;
  }

  get nowMs(): bigint {
    return BigInt(Math.floor(this.#now()));
  }

  get bootId(): string {
    return `boot ${this.#boots}`;
  }

  /** Comes back empty; epochs of before are none now. */
  crash(): void {
    this.#boots += 1;
    this.#epoch += 1_000;
    this.#revision = 0n;
    this.sas.clear();
    this.policies.clear();
  }

  acquire(): number {
    this.#epoch += 1;
    return this.#epoch;
  }

  isWriter(epoch: number): boolean {
    return epoch === this.#epoch;
  }

  operate(operation: WireOperation, charonInstanceId: string): OperationResult {
    const result = this.#operate(operation, charonInstanceId);
    if (result.kind === 'ok' && !result.isUnchanged && operation.kind !== 'reserve-spi') this.#revision += 1n;
    return result;
  }

  #operate(operation: WireOperation, charonInstanceId: string): OperationResult {
    if (this.stuck !== undefined && entriesOf(operation).includes(this.stuck)) {
      return refused('temporary', `${this.stuck} is stuck`);
    }
    switch (operation.kind) {
      case 'add-sa':
        return this.#addSa(operation, charonInstanceId);
      case 'update-sa':
        return this.#updateSa(operation);
      case 'delete-sa': {
        const held = this.sas.get(saName(operation.id));
        if (held === undefined) return UNCHANGED;
        this.#watcher.deleted(held);
        this.sas.delete(saName(operation.id));
        return { ...OK, counters: NO_COUNTERS };
      }
      case 'put-policy':
        this.#watcher.policyPut(operation.policy);
        this.policies.set(policyName(operation.policy.id), {
          policy: operation.policy,
          charonInstanceId,
          putMs: this.#now(),
        });
        return OK;
      case 'delete-policy': {
        const name = policyName(operation.id);
        if (!this.policies.has(name)) return UNCHANGED;
        this.#watcher.policyDeleted(name);
        this.policies.delete(name);
        return OK;
      }
      case 'reserve-spi':
        this.#nextSpi += 1;
        return { ...OK, spi: toSpi(this.#nextSpi) };
    }
  }

  listSas(nonce: Uint8Array, usedSinceMs = 0n): readonly ActualSa[] {
    const held = [...this.sas.values()].filter(({ usedMs }) => usedMs >= usedSinceMs);
    return held.map((held) => ({
      sa: held.sa,
      usage: this.#usageOf(held),
      keyFingerprint: nonce.length === 0 ? undefined : fingerprint(nonce, held.key),
      charonInstanceId: held.charonInstanceId,
      ageMs: BigInt(Math.ceil(this.#now() - held.addedMs)),
    }));
  }

  listPolicies(): readonly ActualPolicy[] {
    return [...this.policies.values()].map(({ policy, charonInstanceId, putMs }) => ({
      ...{ policy, charonInstanceId },
      ageMs: BigInt(Math.ceil(this.#now() - putMs)),
      packets: 0n,
      bytes: 0n,
      idleMs: undefined,
    }));
  }

  /** Packets go both ways: out through what policies point to, in on everything. */
  carry(packets: number): void {
    for (const { policy } of this.policies.values()) {
      if (policy.id.direction !== 'outbound' || policy.action.kind !== 'protect') continue;
      const { spi, protocol, destination } = policy.action.template;
      if (spi === undefined) continue;
      const held = this.sas.get(saName({ direction: 'outbound', protocol, spi, destination }));
      if (held === undefined) continue;
      for (let count = 0; count < packets; count++) {
        this.#watcher.sent(held, held.nextSequence);
        held.nextSequence += 1n;
      }
      held.usedMs = this.#now();
    }
    for (const held of this.sas.values()) {
      if (held.sa.id.direction !== 'inbound') continue;
      held.highest += BigInt(packets);
      held.usedMs = this.#now();
    }
  }

  /** An SA ends that nobody is told of; its revision is. */
  lose(name: string): void {
    if (this.sas.delete(name)) this.#revision += 1n;
  }

  /** A hard lifetime ends. */
  expire(name: string): void {
    const held = this.sas.get(name);
    if (held === undefined) return;
    this.sas.delete(name);
    this.#revision += 1n;
    this.onEvent({ kind: 'expire', id: held.sa.id, isHard: true, reqid: held.sa.reqid });
  }

  /** Something that is no operation of ours changes an SA. */
  change(name: string, what: 'reqid' | 'copy-df' | 'key'): void {
    const held = this.sas.get(name);
    if (held === undefined) return;
    const { sa } = held;
    this.#revision += 1n;
    if (what === 'reqid') this.sas.set(name, { ...held, sa: { ...sa, reqid: toReqId(99) } });
    if (what === 'copy-df') this.sas.set(name, { ...held, sa: { ...sa, copyDf: false } });
    if (what === 'key') {
      this.#strangers += 1;
      const key = this.#strangers.toString(16).padStart(40, 'f');
      this.sas.set(name, { ...held, key, nextSequence: 1n, highest: 0n });
    }
  }

  exhaust(name: string): void {
    const held = this.sas.get(name);
    if (held === undefined || held.sa.id.direction === 'inbound') return;
    this.onEvent({ kind: 'sequence-overflow', id: held.sa.id, reqid: held.sa.reqid });
  }

  #addSa(operation: WireOperation & { readonly kind: 'add-sa' }, charonInstanceId: string): OperationResult {
    const { sa, key, replayState } = operation;
    const name = saName(sa.id);
    const present = this.sas.get(name);
    if (present !== undefined) {
      if (present.key !== key) return refused('spi-collision', `${name} has another key`);
      if (parametersOf(present.sa) !== parametersOf(sa))
        return refused('spi-collision', `${name} is another SA`);
      return UNCHANGED;
    }
    if (replayState !== undefined && !this.takesReplayState) {
      return refused('unsupported-feature', 'replay state');
    }
    const highest = replayState?.highestSequence ?? 0n;
    const held = {
      sa,
      key,
      charonInstanceId,
      nextSequence: 1n,
      highest,
      addedMs: this.#now(),
      usedMs: this.#now(),
    };
    this.#watcher.installed(held, operation);
    this.sas.set(name, held);
    return OK;
  }

  #updateSa({ id, move }: WireOperation & { readonly kind: 'update-sa' }): OperationResult {
    const held = this.sas.get(saName(id));
    if (held === undefined) return refused('not-found', `${saName(id)} is not there`);
    const movedId = { ...id, destination: move.destination };
    if (saName(movedId) !== saName(id) && this.sas.has(saName(movedId))) {
      return refused('spi-collision', `${saName(movedId)} exists already`);
    }
    const { encryption, integrity } = held.sa;
    const moved = moveSa({ ...held.sa, encryption: undefined, integrity: undefined }, move);
    this.sas.delete(saName(id));
    const next = { ...held, sa: { ...moved, encryption, integrity } };
    this.sas.set(saName(movedId), next);
    this.#watcher.moved(next);
    return OK;
  }

  #usageOf({ sa, nextSequence, highest }: HeldSa): ActualSa['usage'] {
    const hasReplayState = sa.id.direction === 'inbound' && sa.replayWindow > 0;
    const replayState = hasReplayState ? { highestSequence: highest, bitmap: Uint8Array.of(1) } : undefined;
    return { id: sa.id, counters: NO_COUNTERS, nextSequence, replayState };
  }
}

/** The contract's, for keys without an integrity part. */
function fingerprint(nonce: Uint8Array, key: string): string {
  const bytes = Buffer.from(key, 'hex');
  const data = Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes, Buffer.of(0, 0)]);
  return createHmac('sha256', nonce).update(data).digest('hex');
}
