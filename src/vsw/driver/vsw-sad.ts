import { type DeleteSa, ResultCode, type Sa } from '../../proto/index.ts';
import { type Author, differingFields, Refusal } from '../../server/index.ts';
import type { Clock } from '../../util/index.ts';
import type { OuterPair } from '../pfkey/index.ts';
import type { SlotTable } from '../slots/index.ts';
import type { PolicyRequest } from './policy-request.ts';
import type { SaReader } from './sa-reader.ts';
import { type SaRecord, saKey, wipeKeys } from './sa-record.ts';
import {
  describeSa,
  parseSaName,
  parseSaRequest,
  type SaContext,
  type SaName,
  type SaRequest,
} from './sa-request.ts';
import type { Surface } from './surface.ts';
import { MATURE_MS, REUSE_MS, VISIBLE_MS } from './timing.ts';

export type VswSadOptions = SaContext & {
  readonly surface: Surface;
  readonly reader: SaReader;
  readonly slotsOf: (vrf: string) => SlotTable;
  readonly clock: Clock;
  /** Inbound policies that wait for an SA of these outer addresses, or have one. */
  readonly inboundPolicies: (vrf: string, pair: OuterPair) => readonly PolicyRequest[];
  /** An SA of these outer addresses is there now. */
  readonly onInbound: (vrf: string, pair: OuterPair) => Promise<void>;
  /** An outbound one is told only when this resolves. */
  readonly whenMoved: (vrf: string, pair: OuterPair) => Promise<void>;
};

const describeBlocker = {
  sa: (spi: string) => `SA ${spi}`,
  foreign: (spi: string) => `SA ${spi}, which is not of this driver`,
  reserved: (spi: string) => `SPI ${spi}, which is reserved`,
  named: (spi: string) => `SPI ${spi}, which is gone and which a policy still names`,
} as const;

const otherDirection = { inbound: 'outbound', outbound: 'inbound' } as const;

function temporary(message: string): Refusal {
  return new Refusal(ResultCode.RESULT_CODE_TEMPORARY, message);
}

function collision(message: string): Refusal {
  return new Refusal(ResultCode.RESULT_CODE_SPI_COLLISION, message);
}

/** The SAs of ours in vsw. What they become is read back, never assumed. */
export class VswSad {
  readonly #options: VswSadOptions;
  readonly #byKey = new Map<string, SaRecord>();
  #order = 0;
  /** vsw is gone: what was begun with it must not reach the next one. */
  #isCleared = false;

  constructor(options: VswSadOptions) {
    this.#options = options;
  }

  /** Installed ones of one owner, or of all. */
  list(owner: string): readonly SaRecord[] {
    return [...this.#byKey.values()].filter(
      (record) => record.phase === 'installed' && (owner === '' || record.owner === owner),
    );
  }

  /** Also those on their way in or out: what may be in vsw of ours. */
  all(): readonly SaRecord[] {
    return [...this.#byKey.values()];
  }

  get(name: SaName): SaRecord | undefined {
    return this.#byKey.get(saKey(name));
  }

  /** In one VRF, or in any. */
  hasSpi(spi: number, vrf?: string): boolean {
    return [...this.#byKey.values()].some(
      ({ request }) => request.name.spi === spi && (vrf === undefined || request.vrf === vrf),
    );
  }

  /** The one vsw's PF_KEY would bind a policy of these outer addresses to. */
  newestOf(vrf: string, pair: OuterPair): SaRecord | undefined {
    return [...this.#byKey.values()]
      .filter(
        ({ request }) =>
          request.vrf === vrf &&
          request.source === pair.source &&
          request.name.destination === pair.destination,
      )
      .reduce<SaRecord | undefined>((a, b) => (a === undefined || b.order > a.order ? b : a), undefined);
  }

  /**
   * Resolves when an inbound SA works, and when an outbound one shows. The part that decides is done before
   * this returns.
   * @throws Refusal, also when vsw does not show it in time: it is taken back then
   */
  add(sa: Sa | undefined, author: Author): Promise<{ record: SaRecord; isUnchanged: boolean }> {
    try {
      const request = parseSaRequest(sa, this.#options);
      const existing = this.get(request.name);
      if (existing !== undefined && existing.phase !== 'leaving')
        return this.#again(existing, request, author);
      try {
        this.#checkFree(request, existing);
      } catch (error) {
        wipeKeys({ request });
        throw error;
      }
      const record = this.#insert(request, author, 'installing');
      const installing = this.#install(record);
      record.busy = installing.then(
        () => undefined,
        () => undefined,
      );
      return installing.then(() => ({ record, isUnchanged: false }));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** One that was found in vsw, of an earlier life of this process. */
  adopt(request: SaRequest, author: Author): SaRecord {
    return this.#insert(request, author, 'installed');
  }

  /** @throws Refusal for another owner's; undefined when there is none. */
  find(request: DeleteSa, author: Author): SaRecord | undefined {
    const name = parseSaName(request.id);
    const record = this.get(name);
    if (record !== undefined && record.owner !== author.owner) {
      throw collision(`${describeSa(name)} belongs to another owner`);
    }
    return record;
  }

  /**
   * Resolves when vsw does not show it any more; false when somebody else removed it meanwhile.
   * @throws Refusal when vsw still shows it
   */
  async remove(record: SaRecord): Promise<boolean> {
    const before = record.busy;
    const removing = before.then(() => this.#remove(record));
    record.busy = removing.then(
      () => undefined,
      () => undefined,
    );
    return await removing;
  }

  /** Forgets everything and wipes every key; vsw is told nothing. */
  clear(): void {
    this.#isCleared = true;
    for (const record of this.#byKey.values()) wipeKeys(record);
    this.#byKey.clear();
  }

  async #again(
    existing: SaRecord,
    request: SaRequest,
    author: Author,
  ): Promise<{ record: SaRecord; isUnchanged: boolean }> {
    try {
      this.#checkSame(existing, request, author);
    } finally {
      wipeKeys({ request });
    }
    await existing.busy;
    if (this.get(request.name) !== existing || existing.phase !== 'installed') {
      throw temporary(`${describeSa(request.name)} was not installed, or was removed meanwhile: try again`);
    }
    return { record: existing, isUnchanged: true };
  }

  #checkSame(existing: SaRecord, request: SaRequest, author: Author): void {
    const { name, encryptionKey, integrityKey, listed } = request;
    if (existing.owner !== author.owner) throw collision(`${describeSa(name)} belongs to another owner`);
    const known = existing.request;
    if (!known.encryptionKey.equals(encryptionKey) || !known.integrityKey.equals(integrityKey)) {
      throw collision(`${describeSa(name)} exists with other keys`);
    }
    const differing = differingFields(known.listed, listed);
    if (differing.length > 0) {
      throw collision(`${describeSa(name)} exists with another ${differing.join(', ')}: delete it first`);
    }
  }

  #checkFree({ name, vrf }: SaRequest, existing: SaRecord | undefined): void {
    const { slotsOf } = this.#options;
    if (existing !== undefined) {
      throw temporary(`${describeSa(name)}: vsw has not forgotten the last one of this SPI yet: try again`);
    }
    const twin = [...this.#byKey.values()].find(
      ({ request }) =>
        request.vrf === vrf &&
        request.name.spi === name.spi &&
        (request.name.direction === otherDirection[name.direction] ||
          request.name.destination !== name.destination),
    );
    if (twin !== undefined) {
      throw collision(
        `${describeSa(name)}: vsw knows an SA by its SPI alone, and has the ${describeSa(twin.request.name)}`,
      );
    }
    const blocker = slotsOf(vrf).blocker(name.direction, name.spi);
    if (blocker === undefined) return;
    const other = blocker.spi.toString(16).padStart(8, '0');
    if (blocker.kind === 'leaving') {
      throw temporary(`${describeSa(name)}: vsw has not forgotten SA ${other} of its slot yet: try again`);
    }
    const who = describeBlocker[blocker.kind](other);
    throw collision(
      `${describeSa(name)} falls into the slot of ${who}: vsw would let one of them silently take the other's place`,
    );
  }

  #insert(request: SaRequest, author: Author, phase: SaRecord['phase']): SaRecord {
    const { slotsOf, clock } = this.#options;
    const record: SaRecord = {
      ...author,
      request,
      phase,
      order: this.#order++,
      sinceMs: clock.now(),
      busy: Promise.resolve(),
      usedUntilMs: 0,
    };
    slotsOf(request.vrf).take(request.name.direction, request.name.spi);
    this.#byKey.set(saKey(request.name), record);
    return record;
  }

  async #install(record: SaRecord): Promise<void> {
    const { surface, whenMoved } = this.#options;
    const { request } = record;
    const isOver = surface.announceSa();
    await this.#checkAbsent(record).finally(isOver);
    try {
      const { vrf, name, source } = request;
      if (name.direction === 'outbound') await whenMoved(vrf, { source, destination: name.destination });
      await surface.installSa(request);
      await this.#confirm(request);
      record.phase = 'installed';
    } catch (error) {
      await this.#takeBack(record);
      throw error instanceof Refusal
        ? error
        : temporary(`${describeSa(request.name)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** vsw would ignore ours without a word, and show the other one in its place. */
  async #checkAbsent(record: SaRecord): Promise<void> {
    const { request } = record;
    try {
      if ((await this.#options.reader.presence(request)) === 'absent') return;
    } catch (error) {
      this.#forget(record);
      throw temporary(
        `${describeSa(request.name)}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    this.#forget(record);
    throw collision(`${describeSa(request.name)}: vsw has an SA of this SPI that is not of this driver`);
  }

  async #confirm(request: SaRequest): Promise<void> {
    const { surface, reader, onInbound, inboundPolicies } = this.#options;
    const { vrf, name, source } = request;
    if (!(await reader.until(request, 'visible', VISIBLE_MS))) {
      throw temporary(`${describeSa(name)}: vsw does not show it ${VISIBLE_MS} ms after it was told`);
    }
    if (name.direction === 'outbound') return;
    const pair = { source, destination: name.destination };
    await onInbound(vrf, pair);
    const isEnabled = await surface.enableInbound(request, inboundPolicies(vrf, pair));
    if (isEnabled && !(await reader.until(request, 'mature', MATURE_MS))) {
      throw temporary(`${describeSa(name)}: vsw has not handed it to its cores within ${MATURE_MS} ms`);
    }
  }

  /** Whether it is there is unknown; afterwards it is not, or vsw cannot be told. */
  async #takeBack(record: SaRecord): Promise<void> {
    if (this.#isCleared) return;
    try {
      await this.#options.surface.removeSa(record.request);
    } catch {
      // vsw is not there: neither is the SA, or the survey of its slots finds it, or our next life.
    }
    if (!this.#isCleared) this.#forget(record);
  }

  async #remove(record: SaRecord): Promise<boolean> {
    const { surface, reader, clock } = this.#options;
    const { request } = record;
    if (this.get(request.name) !== record) return false;
    record.phase = 'leaving';
    const waitMs = record.usedUntilMs - clock.now();
    if (waitMs > 0) await clock.sleep(waitMs);
    if (this.#isCleared) return false;
    try {
      await surface.removeSa(request);
      if (await reader.until(request, 'absent', VISIBLE_MS)) {
        this.#forget(record);
        return true;
      }
    } catch (error) {
      record.phase = 'installed';
      throw temporary(
        `${describeSa(request.name)}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    record.phase = 'installed';
    throw temporary(`${describeSa(request.name)}: vsw still shows it ${VISIBLE_MS} ms after it was told`);
  }

  #forget(record: SaRecord): void {
    const { vrf, name } = record.request;
    this.#byKey.delete(saKey(name));
    this.#options.slotsOf(vrf).leave(name.direction, name.spi, REUSE_MS);
    wipeKeys(record);
  }
}
