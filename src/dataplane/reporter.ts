import { ExpiryReason } from '../proto/index.ts';
import { type EventLog, type LifetimeEnd, Lifetimes, type Revisions } from '../server/index.ts';
import type { Logger } from '../util/index.ts';
import { type Address, encodeAddress, formatAddress } from './address.ts';
import { type Handle, type NativeCallbacks, SaEvent } from './native.ts';
import { describeSa, type SaRecord, saIdOf } from './sa-record.ts';
import type { Sad } from './sad.ts';
import type { Spd } from './spd.ts';

export type ReporterOptions = {
  readonly sad: Sad;
  readonly spd: Spd;
  readonly events: EventLog;
  readonly revisions: Revisions;
  readonly logger: Logger;
};

type Expiry = { readonly isHard: boolean; readonly reason: ExpiryReason };

const expiries = new Map<number, Expiry>([
  [SaEvent.softBytes, { isHard: false, reason: ExpiryReason.EXPIRY_REASON_BYTES }],
  [SaEvent.softPackets, { isHard: false, reason: ExpiryReason.EXPIRY_REASON_PACKETS }],
  [SaEvent.hardBytes, { isHard: true, reason: ExpiryReason.EXPIRY_REASON_BYTES }],
  [SaEvent.hardPackets, { isHard: true, reason: ExpiryReason.EXPIRY_REASON_PACKETS }],
]);

/** Turns what timers and the engine report into events of the contract, and ends SAs whose time is over. */
export class Reporter {
  readonly lifetimes = new Lifetimes<Handle>((sa, end) => this.#onTime(sa, end));
  readonly #options: ReporterOptions;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  readonly onSaEvent: NativeCallbacks['saEvent'] = (handle, event, address, port) => {
    const record = this.#options.sad.byHandle(handle);
    if (record === undefined) return;
    const expiry = expiries.get(event);
    if (expiry !== undefined) this.#expire(record, expiry);
    else if (event === SaEvent.sequenceOverflow) this.#overflow(record);
    else this.#movePeer(record, address, port);
  };

  readonly onAcquire: NativeCallbacks['acquire'] = (
    handle,
    source,
    destination,
    protocol,
    sourcePort,
    destinationPort,
  ) => {
    const { spd, events, logger } = this.#options;
    const policy = spd.byHandle(handle);
    if (policy?.act.kind !== 'protect') return;
    const side = (address: Address, port: number) => ({
      addresses: { first: encodeAddress(address), last: encodeAddress(address) },
      ports: port < 0 ? { first: 0, last: 65535 } : { first: port, last: port },
      protocol,
    });
    const { reqid } = policy.act.template;
    events.publish(policy.owner, {
      acquire: {
        policy: policy.listed.id,
        reqid,
        source: side(source, sourcePort),
        destination: side(destination, destinationPort),
      },
    });
    logger.info(
      { reqid, source: formatAddress(source), destination: formatAddress(destination) },
      'SA wanted by a trap policy',
    );
  };

  #onTime(handle: Handle, end: LifetimeEnd): void {
    const record = this.#options.sad.byHandle(handle);
    if (record !== undefined)
      this.#expire(record, { isHard: end === 'hard', reason: ExpiryReason.EXPIRY_REASON_TIME });
  }

  #expire(record: SaRecord, { isHard, reason }: Expiry): void {
    const { sad, events, revisions, logger } = this.#options;
    let counters = sad.counters(record);
    if (isHard) {
      this.lifetimes.stop(record.handle);
      counters = sad.remove(record);
      revisions.advance(record.owner);
    }
    const { reqid } = record.listed;
    events.publish(record.owner, { expire: { id: saIdOf(record), hard: isHard, reason, reqid, counters } });
    logger.info({ reqid, sa: describeSa(record.name), isHard, reason }, 'SA lifetime ended');
  }

  #overflow(record: SaRecord): void {
    const { events, logger } = this.#options;
    const { reqid } = record.listed;
    events.publish(record.owner, { sequenceOverflow: { id: saIdOf(record), reqid } });
    logger.warn({ reqid, sa: describeSa(record.name) }, 'SA has no sequence numbers left');
  }

  #movePeer(record: SaRecord, address: Address, port: number): void {
    const { events, logger } = this.#options;
    const { reqid } = record.listed;
    events.publish(record.owner, {
      peerAddress: { id: saIdOf(record), reqid, address: encodeAddress(address), port },
    });
    logger.info(
      { reqid, sa: describeSa(record.name), address: formatAddress(address), port },
      'peer address changed',
    );
  }
}
