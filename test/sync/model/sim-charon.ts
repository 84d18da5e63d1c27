import { type PolicyUser, type SaId, type SaMove, type Spi, toSpi } from '../../../src/sad/index.ts';
import type { ChildSaView } from '../../../src/sync/index.ts';
import { saName } from './names.ts';
import { makeSa, makeUser, type PolicyDirection } from './recipes.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimClock } from './sim-clock.ts';
import type { SimPlugin, TableSa } from './sim-plugin.ts';

/** Selectors that CHILD_SAs, traps and shunts have; several may have the same. */
export const NETS = 2;
export const PEERS = 2;
const SPIS_OF_A_PEER = 12;
const MAX_CHILDREN = 5;
const DELETE_REKEYED_DELAY_MS = 500;

export type ShuntKind = 'pass' | 'drop' | 'manual';

type IkeSa = {
  readonly uniqueId: number;
  readonly peer: number;
  local: string;
  remote: string;
  /** Its procedures, one after the other: charon checks an IKE_SA out. */
  turn: Promise<void>;
  /** Procedures that wait or run. */
  busy: number;
};

export type ChildSa = {
  readonly uniqueId: number;
  readonly ike: IkeSa;
  readonly net: number;
  readonly options: ChildOptions;
  readonly reqid: number;
  local: string;
  remote: string;
  state: 'CREATED' | 'INSTALLED' | 'REKEYING' | 'REKEYED' | 'DELETING';
  inbound: TableSa | undefined;
  outbound: TableSa | undefined;
  users: readonly PolicyUser[];
};

export type ChildOptions = { readonly esn: boolean; readonly replayWindow: number };

/** Who begins a rekeying; the responder installs OUT only when the peer deletes the old CHILD_SA. */
export type Role = 'initiator' | 'responder';

export type SimCharonOptions = {
  readonly plugin: SimPlugin;
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly newKey: () => Uint8Array;
  /** Whether the peers draw the same SPIs. */
  readonly hasSharedSpis: boolean;
};

/** Where each end is, and where it moves to and back. */
const LOCAL = ['198.18.0.1', '198.18.0.2'] as const;

function remoteOf(peer: number): readonly [string, string] {
  return [`198.18.1.${peer + 1}`, `198.18.2.${peer + 1}`];
}

export const ADDRESSES: readonly string[] = [...LOCAL, ...remoteOf(0), ...remoteOf(1)];

const DIRECTIONS: readonly PolicyDirection[] = ['inbound', 'forward', 'outbound'];

/**
 * One instance of charon: its CHILD_SAs and what it does with them, in the order its kernel interface
 * was seen to be called (docs/design/charon-plugin.md). A procedure that fails leaves nothing behind.
 */
export class SimCharon {
  readonly plugin: SimPlugin;
  children: readonly ChildSa[] = [];
  readonly #clock: SimClock;
  readonly #random: SeededRandom;
  readonly #newKey: () => Uint8Array;
  readonly #hasSharedSpis: boolean;
  readonly #ikes: readonly IkeSa[];
  readonly #traps = new Map<number, readonly PolicyUser[]>();
  readonly #shunts = new Map<string, readonly PolicyUser[]>();
  /** Who uses the reqid of a net. */
  readonly #reqids = new Map<number, { readonly reqid: number; uses: number }>();
  #uniqueId = 0;
  #isAlive = true;

  constructor({ plugin, clock, random, newKey, hasSharedSpis }: SimCharonOptions) {
    this.plugin = plugin;
    this.#clock = clock;
    this.#random = random;
    this.#newKey = newKey;
    this.#hasSharedSpis = hasSharedSpis;
    this.#ikes = Array.from({ length: PEERS }, (_, peer) => ({
      uniqueId: peer + 1,
      peer,
      local: LOCAL[0],
      remote: remoteOf(peer)[0],
      turn: Promise.resolve(),
      busy: 0,
    }));
  }

  /** SIGKILL: what it was doing is never finished. */
  kill(): void {
    this.#isAlive = false;
    this.plugin.disconnect();
  }

  setUp(peer: number, net: number, options: ChildOptions): void {
    const ike = this.#ike(peer);
    this.#inTurn(ike, async () => {
      if (this.children.filter((child) => child.ike === ike).length >= MAX_CHILDREN) return;
      const child = this.#newChild(ike, net, options);
      if ((await this.#installInbound(child)) && (await this.#installOutbound(child)))
        child.state = 'INSTALLED';
      else this.#destroy(child);
    });
  }

  rekey(child: ChildSa, role: Role): void {
    this.#inTurn(child.ike, () => this.#rekey(child, role));
  }

  delete(child: ChildSa): void {
    this.#inTurn(child.ike, async () => this.#destroy(child));
  }

  deleteAll(peer: number): void {
    this.#inTurn(this.#ike(peer), async () => {
      for (const child of this.children) if (child.ike.peer === peer) this.#destroy(child);
    });
  }

  /** MOBIKE: one end has another address now. */
  move(peer: number, end: 'local' | 'remote'): void {
    const ike = this.#ike(peer);
    this.#inTurn(ike, async () => {
      const [here, there] = end === 'local' ? LOCAL : remoteOf(peer);
      ike[end] = ike[end] === here ? there : here;
      for (const child of this.children) {
        if (child.ike === ike && child.state === 'INSTALLED') await this.#moveChild(child);
      }
    });
  }

  toggleTrap(net: number): void {
    const ike = this.#ike(0);
    const present = this.#traps.get(net);
    if (present !== undefined) {
      for (const user of present) this.plugin.deletePolicy(user);
      this.#traps.delete(net);
      this.#releaseReqid(net);
      return;
    }
    const recipe = { ...ike, net, reqid: this.#takeReqid(net) };
    const traps = DIRECTIONS.map(
      (direction): PolicyUser => ({ ...makeUser(recipe, direction), priorityClass: 'routed' }),
    );
    this.#traps.set(net, traps);
    void this.#addAll(traps);
  }

  toggleShunt(net: number, kind: ShuntKind): void {
    const key = `${kind} ${net}`;
    const present = this.#shunts.get(key);
    if (present !== undefined) {
      for (const user of present) this.plugin.deletePolicy(user);
      this.#shunts.delete(key);
      return;
    }
    const users = DIRECTIONS.map((direction): PolicyUser => {
      const { id } = makeUser({ ...this.#ike(0), net, reqid: 0 }, direction);
      const action = { kind: kind === 'pass' ? 'bypass' : 'discard' } as const;
      const manualPriority = kind === 'manual' ? 100 : 0;
      return { id, action, priorityClass: kind === 'pass' ? 'pass' : 'fallback', manualPriority };
    });
    this.#shunts.set(key, users);
    void this.#addAll(users);
  }

  /** No procedure is under way. */
  get isIdle(): boolean {
    return (
      this.#ikes.every(({ busy }) => busy === 0) && this.children.every(({ state }) => state === 'INSTALLED')
    );
  }

  /** A hard lifetime ended where the packets are. */
  expireSa(id: SaId): void {
    const child = this.children.find(({ inbound, outbound }) =>
      [inbound, outbound].some((sa) => sa !== undefined && saName(sa.id) === saName(id)),
    );
    if (child !== undefined) this.delete(child);
  }

  /** `list-sas` with `noblock`: without IKE_SAs that are checked out. */
  /** No worker holds an IKE_SA. */
  get isListedWhole(): boolean {
    return this.#ikes.every(({ busy }) => busy === 0);
  }

  list(): readonly ChildSaView[] {
    return this.children
      .filter(({ ike, state }) => ike.busy === 0 && state !== 'CREATED')
      .map((child) => ({
        name: `net-${child.net}`,
        childId: String(child.uniqueId),
        ikeId: String(child.ike.uniqueId),
        state: child.state,
        protocol: 'esp',
        inboundSpi: child.inbound?.id.spi,
        outboundSpi: child.outbound?.id.spi,
      }));
  }

  #ike(peer: number): IkeSa {
    const ike = this.#ikes[peer];
    if (ike === undefined) throw new RangeError(`there is no peer ${peer}`);
    return ike;
  }

  #inTurn(ike: IkeSa, procedure: () => Promise<void>): void {
    ike.busy += 1;
    ike.turn = ike.turn.then(async () => {
      await this.#exchange();
      await procedure();
      ike.busy -= 1;
    });
  }

  /** A round trip to the peer. A charon that died never comes back from it. */
  async #exchange(): Promise<void> {
    await this.#clock.sleep(1 + this.#random.int(20));
    if (!this.#isAlive) await new Promise<never>(() => undefined);
  }

  #newChild(ike: IkeSa, net: number, options: ChildOptions): ChildSa {
    this.#uniqueId += 1;
    const child: ChildSa = {
      uniqueId: this.#uniqueId,
      ...{ ike, net, options },
      reqid: this.#takeReqid(net),
      local: ike.local,
      remote: ike.remote,
      state: 'CREATED',
      inbound: undefined,
      outbound: undefined,
      users: [],
    };
    this.children = [...this.children, child];
    return child;
  }

  async #installInbound(child: ChildSa): Promise<boolean> {
    const spi = await this.plugin.getSpi(child.remote, child.local);
    await this.#exchange();
    child.inbound = await this.#addSa(child, 'inbound', spi);
    if (child.inbound === undefined) return false;
    return this.#addUsers(child, ['inbound', 'forward']);
  }

  async #installOutbound(child: ChildSa): Promise<boolean> {
    const spi = this.#spiOfPeer(child.ike);
    if (spi === undefined) return false;
    child.outbound = await this.#addSa(child, 'outbound', spi);
    if (child.outbound === undefined) return false;
    return this.#addUsers(child, ['outbound']);
  }

  /** The peer draws from few, so that SPIs come again. */
  #spiOfPeer(ike: IkeSa): Spi | undefined {
    const used = this.children.flatMap((child) => (child.ike === ike ? [child.outbound?.id.spi] : []));
    const first = this.#hasSharedSpis ? 0x1000 : 0x1000 * (ike.peer + 1);
    const free = Array.from({ length: SPIS_OF_A_PEER }, (_, index) => toSpi(first + index));
    return free.find((spi) => !used.includes(spi));
  }

  /** Both directions of one negotiation are of one make. */
  async #addSa(child: ChildSa, direction: 'inbound' | 'outbound', spi: Spi): Promise<TableSa | undefined> {
    const { net, reqid, local, remote, options } = child;
    const replayWindow = direction === 'inbound' ? options.replayWindow : 0;
    const key = this.#newKey();
    const sa = makeSa({ net, reqid, local, remote, direction, spi, key, esn: options.esn, replayWindow });
    return (await this.plugin.addSa(sa)) ? sa : undefined;
  }

  async #addUsers(child: ChildSa, directions: readonly PolicyDirection[]): Promise<boolean> {
    for (const direction of directions) {
      const sa = direction === 'outbound' ? child.outbound : child.inbound;
      const user = makeUser(child, direction, sa?.id.spi);
      if (!(await this.plugin.addPolicy(user))) return false;
      child.users = [...child.users, user];
    }
    return true;
  }

  async #addAll(users: readonly PolicyUser[]): Promise<void> {
    for (const user of users) await this.plugin.addPolicy(user);
  }

  async #rekey(old: ChildSa, role: Role): Promise<void> {
    if (old.state !== 'INSTALLED' || !this.children.includes(old)) return;
    old.state = 'REKEYING';
    const { ike, net, options } = old;
    const child = this.#newChild(ike, net, options);
    let isInstalled = await this.#installInbound(child);
    if (isInstalled && role === 'responder') await this.#exchange();
    isInstalled &&= await this.#installOutbound(child);
    if (!isInstalled) {
      this.#destroy(child);
      old.state = 'INSTALLED';
      return;
    }
    child.state = 'INSTALLED';
    old.state = 'REKEYED';
    this.#removeUsers(old, ['outbound']);
    this.#removeSa(old, 'outbound');
    this.#clock.at(DELETE_REKEYED_DELAY_MS, () => {
      if (this.#isAlive) this.delete(old);
    });
  }

  /** Inbound first. One that cannot follow its IKE_SA is rekeyed, at the new addresses. */
  async #moveChild(child: ChildSa): Promise<void> {
    const { ike, inbound, outbound } = child;
    if (inbound === undefined || outbound === undefined) return;
    const { local, remote } = ike;
    const there = await this.plugin.updateSa(inbound, moveTo(remote, local));
    const back = there && (await this.plugin.updateSa(outbound, moveTo(local, remote)));
    if (there === undefined || back === undefined) {
      if (there !== undefined) this.plugin.undoMove(inbound, there);
      await this.#rekey(child, 'initiator');
      return;
    }
    Object.assign(child, { local, remote, inbound: there, outbound: back });
    this.#removeUsers(child, DIRECTIONS);
    if (!(await this.#addUsers(child, DIRECTIONS))) this.#destroy(child);
  }

  #removeUsers(child: ChildSa, directions: readonly PolicyDirection[]): void {
    for (const user of child.users)
      if (directions.includes(user.id.direction)) this.plugin.deletePolicy(user);
    child.users = child.users.filter(({ id }) => !directions.includes(id.direction));
  }

  #removeSa(child: ChildSa, direction: 'inbound' | 'outbound'): void {
    const sa = child[direction];
    if (sa !== undefined) this.plugin.deleteSa(sa.id);
    child[direction] = undefined;
  }

  #destroy(child: ChildSa): void {
    if (!this.children.includes(child)) return;
    child.state = 'DELETING';
    this.#removeUsers(child, DIRECTIONS);
    this.#removeSa(child, 'outbound');
    this.#removeSa(child, 'inbound');
    this.children = this.children.filter((other) => other !== child);
    this.#releaseReqid(child.net);
  }

  /** The lowest that nobody has: reqids come again at once. */
  #takeReqid(net: number): number {
    const present = this.#reqids.get(net);
    if (present !== undefined) {
      present.uses += 1;
      return present.reqid;
    }
    const taken = [...this.#reqids.values()].map(({ reqid }) => reqid);
    const reqid =
      Array.from({ length: NETS }, (_, index) => index + 1).find((id) => !taken.includes(id)) ?? NETS;
    this.#reqids.set(net, { reqid, uses: 1 });
    return reqid;
  }

  #releaseReqid(net: number): void {
    const present = this.#reqids.get(net);
    if (present === undefined) return;
    present.uses -= 1;
    if (present.uses === 0) this.#reqids.delete(net);
  }
}

function moveTo(source: string, destination: string): SaMove {
  return { source, destination, udpEncapsulation: undefined, reqid: undefined };
}
