import {
  moveSa,
  type PolicyUser,
  type SaId,
  type SaMove,
  type SecurityAssociation,
  type Spi,
  toSpi,
} from '../../../src/sad/index.ts';
import type { DesiredSnapshot, SyncAnswer, SyncChange, SyncRequest } from '../../../src/sync/index.ts';
import { actionName, policyName, saName } from './names.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimClock } from './sim-clock.ts';

/** The agent at the other end of the key feed. */
export type FeedPeer = {
  readonly handle: (request: SyncRequest) => Promise<SyncAnswer>;
  readonly change: (change: SyncChange) => void;
  readonly snapshot: (snapshot: DesiredSnapshot, charonInstanceId: string, charonStartedMs: number) => void;
  /** The plugin has taken an answer: it and the agent agree from now on. */
  readonly agreed: (sa: TableSa) => void;
  readonly moved: (from: SaId, sa: TableSa) => void;
};

/** An SA in the plugin's table; `make` gives a copy with keys of its own, as a message does. */
export type TableSa = {
  readonly id: SaId;
  /** Hex. */
  readonly key: string;
  readonly make: () => SecurityAssociation;
};

type Connection = {
  readonly peer: FeedPeer;
  isReady: boolean;
  readonly calls: Set<() => void>;
  /** Answers come in the order they were given. */
  lastAnswerMs: number;
};
type TableUser = { readonly user: PolicyUser; isAwaiting: boolean };
type Outcome = 'ok' | 'failed' | 'unknown';

const DEADLINE_MS = 1_000;
const PROBE_MS = 200;

/**
 * charon's plugin: the tables of one charon instance, and the key feed (docs/design/keyfeed.md). What
 * charon was told succeeds is in the tables; what came too late is undone by what follows it.
 */
export class SimPlugin {
  readonly sas = new Map<string, TableSa>();
  readonly instanceId: string;
  readonly #startedMs: number;
  readonly #clock: SimClock;
  readonly #random: SeededRandom;
  readonly #awaited = new Set<string>();
  #users: readonly TableUser[] = [];
  /** When charon last did something. */
  changedMs = 0;
  #connection: Connection | undefined;
  #isPatient = true;

  constructor(instanceId: string, clock: SimClock, random: SeededRandom) {
    this.instanceId = instanceId;
    this.#startedMs = clock.now();
    this.#clock = clock;
    this.#random = random;
  }

  /** In the order of installation, without those that await an answer. */
  get users(): readonly PolicyUser[] {
    return this.#users.flatMap(({ user, isAwaiting }) => (isAwaiting ? [] : [user]));
  }

  connect(peer: FeedPeer): void {
    this.#connection = { peer, isReady: false, calls: new Set(), lastAnswerMs: 0 };
    this.#isPatient = true;
    const sas = [...this.sas.values()].map(({ make }) => make());
    peer.snapshot({ sas, policyUsers: this.users }, this.instanceId, this.#startedMs);
  }

  isConnectedTo(peer: FeedPeer): boolean {
    return this.#connection?.peer === peer;
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** Everybody who waits is told that there is no agent. */
  disconnect(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    for (const end of connection?.calls ?? []) end();
  }

  setReady(peer: FeedPeer, isReady: boolean): void {
    if (this.#connection?.peer === peer) this.#connection.isReady = isReady;
  }

  /** Never fails: without an answer one is drawn. */
  async getSpi(source: string, destination: string): Promise<Spi> {
    let spi: Spi | undefined;
    await this.#call({ kind: 'reserve-spi', protocol: 'esp', source, destination }, (answer) => {
      spi = answer.spi;
    });
    return spi ?? toSpi(0x8000_0000 + this.#random.int(0x1000_0000));
  }

  /** False also for an SA that is there already. */
  async addSa(sa: TableSa): Promise<boolean> {
    const name = saName(sa.id);
    if (this.sas.has(name) || this.#awaited.has(name)) return false;
    this.#awaited.add(name);
    const outcome = await this.#call({ kind: 'add-sa', sa: sa.make() }, (_answer, peer) => {
      this.sas.set(name, sa);
      peer.agreed(sa);
    });
    this.#awaited.delete(name);
    if (outcome === 'unknown') this.#send({ kind: 'delete-sa', id: sa.id });
    return outcome === 'ok';
  }

  /** Gives the SA under its new name, or undefined if it stays where it was. */
  async updateSa(sa: TableSa, move: SaMove): Promise<TableSa | undefined> {
    const name = saName(sa.id);
    const moved = movedSa(sa, move);
    const isTaken = saName(moved.id) !== name && this.sas.has(saName(moved.id));
    if (this.sas.get(name) !== sa || isTaken) return undefined;
    const outcome = await this.#call({ kind: 'update-sa', id: sa.id, move }, (_answer, peer) => {
      if (this.sas.get(name) !== sa) return;
      this.sas.delete(name);
      this.sas.set(saName(moved.id), moved);
      peer.moved(sa.id, moved);
    });
    if (outcome === 'unknown' && this.sas.get(name) === sa) this.#sendBack(sa, moved);
    return outcome === 'ok' ? moved : undefined;
  }

  /** The other half of its CHILD_SA did not move: this one goes back, and nobody waits for that. */
  undoMove(from: TableSa, moved: TableSa): void {
    if (this.sas.get(saName(moved.id)) !== moved) return;
    this.sas.delete(saName(moved.id));
    this.sas.set(saName(from.id), from);
    this.#connection?.peer.moved(moved.id, from);
    this.#sendBack(from, moved);
  }

  deleteSa(id: SaId): void {
    if (this.sas.delete(saName(id))) this.#send({ kind: 'delete-sa', id });
  }

  async addPolicy(user: PolicyUser): Promise<boolean> {
    const isAwaited =
      user.id.direction !== 'forward' &&
      (user.action.kind === 'protect' || this.#connection?.isReady === true);
    const entry = { user, isAwaiting: isAwaited };
    this.#users = [...this.#users, entry];
    if (!isAwaited) {
      this.#send({ kind: 'add-policy', user });
      return true;
    }
    const outcome = await this.#call({ kind: 'add-policy', user }, () => {
      entry.isAwaiting = false;
    });
    if (outcome === 'unknown') this.#send({ kind: 'delete-policy', user });
    if (outcome !== 'ok') this.#users = this.#users.filter((other) => other !== entry);
    return outcome === 'ok';
  }

  deletePolicy(user: PolicyUser): void {
    const entry = this.#users.find((other) => other.user === user && !other.isAwaiting);
    if (entry === undefined) return;
    this.#users = this.#users.filter((other) => other !== entry);
    this.#send({ kind: 'delete-policy', user });
  }

  #send(change: SyncChange): void {
    this.changedMs = this.#clock.now();
    this.#connection?.peer.change(change);
  }

  #sendBack(to: TableSa, moved: TableSa): void {
    const { source, udpEncapsulation, reqid, id } = to.make();
    const move = { source, destination: id.destination, udpEncapsulation, reqid };
    this.#send({ kind: 'update-sa', id: moved.id, move });
  }

  /** Waits for the answer, the deadline or the end of the connection. `commit` is called with the yes. */
  #call(
    request: SyncRequest,
    commit: (answer: SyncAnswer & { readonly kind: 'ok' }, peer: FeedPeer) => void,
  ): Promise<Outcome> {
    this.changedMs = this.#clock.now();
    const connection = this.#connection;
    if (connection === undefined || !connection.isReady || !this.#isPatient) return Promise.resolve('failed');
    return new Promise((resolve) => {
      let isOver = false;
      const end = (outcome: Outcome): void => {
        isOver = true;
        cancel();
        connection.calls.delete(onDisconnect);
        resolve(outcome);
      };
      const onDisconnect = (): void => end('failed');
      const cancel = this.#clock.at(DEADLINE_MS, () => {
        this.#loseTrust();
        end('unknown');
      });
      connection.calls.add(onDisconnect);
      const onAnswer = (answer: SyncAnswer): void => {
        const nowMs = this.#clock.now();
        connection.lastAnswerMs = Math.max(connection.lastAnswerMs, nowMs + this.#random.int(2));
        this.#clock.at(connection.lastAnswerMs - nowMs, () => {
          if (isOver) return;
          if (answer.kind === 'ok') commit(answer, connection.peer);
          end(answer.kind === 'ok' ? 'ok' : 'failed');
        });
      };
      connection.peer.handle(request).then(onAnswer, () => undefined);
    });
  }

  /** After a missed deadline requests fail at once, until a probe is answered. */
  #loseTrust(): void {
    this.#isPatient = false;
    this.#clock.at(PROBE_MS, () => {
      this.#isPatient = true;
    });
  }
}

function movedSa(sa: TableSa, move: SaMove): TableSa {
  return {
    ...sa,
    id: { ...sa.id, destination: move.destination },
    make: () => moveSa(sa.make(), move),
  };
}

/** A class of priorities, in the order of matching. */
const CLASSES = ['pass', 'default', 'routed', 'fallback'];

function rank({ priorityClass, manualPriority }: PolicyUser): number {
  return manualPriority === 0 ? CLASSES.indexOf(priorityClass) : -1;
}

/** What has to be in effect for each selector: of the users with the best rank the newest. */
export function effectiveActions(users: readonly PolicyUser[]): ReadonlyMap<string, string> {
  const first = new Map<string, PolicyUser>();
  for (const user of users) {
    const { direction } = user.id;
    if (direction === 'forward') continue;
    const name = policyName(user.id);
    const best = first.get(name);
    if (best === undefined || rank(user) <= rank(best)) first.set(name, user);
  }
  return new Map([...first].map(([name, { action }]) => [name, actionName(action)]));
}
