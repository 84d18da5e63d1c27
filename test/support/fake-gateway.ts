import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { FeedPolicy, FeedSa, Result } from '../../src/keyfeed/index.ts';
import type { ViciSection } from '../../src/vici/index.ts';
import { FakeCharon, type FakeReply } from './fake-charon.ts';
import { type FakeChild, fakeChild, listedChild, localHost, MAX_CHILDREN, peerOf } from './fake-children.ts';
import { FakePlugin } from './fake-plugin.ts';
import { fakeSaCommands, type ScriptedIkeSa } from './fake-sas.ts';

/** Charon's patience is not what is tested with this one. */
const DEADLINE_MS = 5_000;
/** Not where dataplanes draw theirs. */
const FIRST_SPI = 0xa000_0000;
const FIRST_PEER_SPI = 0xe000_0000;

/** Why an exchange failed: what its plugin was answered. */
class Refused extends Error {}

/**
 * A charon with any number of CHILD_SAs and without IKE: its plugin and its VICI tell of the same ones.
 * It answers a rekey as charon does, with new SAs through the plugin and the deletion of the old ones.
 */
export class FakeGateway implements AsyncDisposable {
  readonly plugin: FakePlugin;
  readonly vici: FakeCharon;
  readonly #children: Map<number, FakeChild>;
  readonly #rekeying: Set<number>;
  readonly #failures: string[] = [];
  #rekeyed = 0;
  #nextChildId = 1;
  #nextSpi = FIRST_SPI;
  #nextPeerSpi = FIRST_PEER_SPI;

  private constructor(
    plugin: FakePlugin,
    vici: FakeCharon,
    children: Map<number, FakeChild>,
    rekeying: Set<number>,
  ) {
    this.plugin = plugin;
    this.vici = vici;
    this.#children = children;
    this.#rekeying = rekeying;
    plugin.tables = () => this.#tables();
    plugin.keepsUsage = false;
  }

  /** Its sockets are `plugin.sock` and `vici.sock` in `dir`. */
  static async listen(dir: string): Promise<FakeGateway> {
    const children = new Map<number, FakeChild>();
    const rekeying = new Set<number>();
    const late: { onRekey: ((args: ViciSection) => FakeReply) | undefined } = { onRekey: undefined };
    const plugin = await FakePlugin.listen(FakeGateway.pluginSocket(dir), { deadlineMs: DEADLINE_MS });
    const vici = await FakeCharon.listen(FakeGateway.viciSocket(dir), {
      commands: {
        ...fakeSaCommands(() => listed(children, rekeying)),
        version: () => ({
          reply: { daemon: 'fake-charon', version: '0', sysname: '', release: '', machine: '' },
        }),
        rekey: (args) => late.onRekey?.(args) ?? 'never',
      },
    });
    const gateway = new FakeGateway(plugin, vici, children, rekeying);
    late.onRekey = (args) => gateway.#onRekey(args);
    return gateway;
  }

  static pluginSocket(dir: string): string {
    return join(dir, 'plugin.sock');
  }

  static viciSocket(dir: string): string {
    return join(dir, 'vici.sock');
  }

  /** CHILD_SAs it has now. */
  get size(): number {
    return this.#children.size;
  }

  /** Rekeys that were asked for and have ended. */
  get rekeyed(): number {
    return this.#rekeyed;
  }

  get isRekeying(): boolean {
    return this.#rekeying.size > 0;
  }

  /** What agents refused, in the middle of an exchange. */
  get failures(): readonly string[] {
    return this.#failures;
  }

  /** Has so many CHILD_SAs in all, without a word to anybody: the next snapshot shows them. */
  populate(children: number): void {
    if (children > MAX_CHILDREN) throw new RangeError(`at most ${MAX_CHILDREN} CHILD_SAs, not ${children}`);
    for (let tunnel = this.#children.size; tunnel < children; tunnel += 1) {
      this.#nextSpi += 1;
      const child = this.#negotiate(tunnel, this.#nextSpi);
      this.#children.set(child.childId, child);
    }
  }

  /** Negotiates one more CHILD_SA, as charon does: every step waits for the agent. */
  async setUp(tunnel: number): Promise<FakeChild> {
    const { spi = 0 } = await this.#ask({
      kind: 'get-spi',
      protocol: 'esp',
      source: peerOf(tunnel),
      destination: localHost,
    });
    const child = this.#negotiate(tunnel, spi);
    const undo: (() => void)[] = [];
    try {
      for (const sa of [child.inbound, child.outbound]) {
        undo.unshift(() => this.plugin.change({ kind: 'del-sa', id: sa.id }));
        await this.#ask({ kind: 'add-sa', awaited: true, sa });
      }
      for (const policy of child.policies) {
        const isAwaited = policy.direction !== 'forward';
        if (isAwaited) await this.#ask({ kind: 'add-policy', awaited: true, policy });
        else this.plugin.change({ kind: 'add-policy', awaited: false, policy });
        undo.unshift(() => this.plugin.change({ kind: 'del-policy', policy }));
      }
    } catch (error) {
      for (const step of undo) step();
      throw error;
    }
    this.#children.set(child.childId, child);
    return child;
  }

  /** Deletes one, as charon does: nobody waits. */
  tearDown({ childId }: FakeChild): void {
    const child = this.#children.get(childId);
    if (child === undefined) return;
    this.#children.delete(childId);
    for (const policy of child.policies) this.plugin.change({ kind: 'del-policy', policy });
    for (const { id } of [child.outbound, child.inbound]) this.plugin.change({ kind: 'del-sa', id });
  }

  /** An inbound SA beside all CHILD_SAs. */
  async addSpare(): Promise<FeedSa> {
    this.#nextSpi += 1;
    const { inbound: sa } = this.#negotiate(MAX_CHILDREN, this.#nextSpi);
    await this.#ask({ kind: 'add-sa', awaited: true, sa });
    return sa;
  }

  /** Deletes it and adds another one; answered when both are in effect, because changes keep their order. */
  replaceSpare({ id }: FeedSa): Promise<FeedSa> {
    this.plugin.change({ kind: 'del-sa', id });
    return this.addSpare();
  }

  deleteSpare({ id }: FeedSa): void {
    this.plugin.change({ kind: 'del-sa', id });
  }

  /** Another charon takes its place, and knows of nothing. */
  restart(): void {
    this.#children.clear();
    this.plugin.hello = { ...this.plugin.hello, instance: randomBytes(16).toString('hex') };
    this.plugin.hangUp();
    this.vici.hangUp();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.plugin[Symbol.asyncDispose]();
    await this.vici[Symbol.asyncDispose]();
  }

  #negotiate(tunnel: number, spiIn: number): FakeChild {
    const childId = this.#nextChildId;
    this.#nextChildId += 1;
    this.#nextPeerSpi += 1;
    return fakeChild(tunnel, { childId, spiIn, spiOut: this.#nextPeerSpi });
  }

  async #ask(message: Parameters<FakePlugin['request']>[0]): Promise<Result> {
    const result = await this.plugin.request(message);
    if (result.code !== 'ok') throw new Refused(`${message.kind}: ${result.reason ?? result.code}`);
    return result;
  }

  #onRekey(args: ViciSection): FakeReply {
    const child = this.#children.get(Number(args.text('child-id')));
    if (child === undefined)
      return { reply: { success: 'no', matches: 0, errmsg: 'no matching SAs to rekey found' } };
    if (!this.#rekeying.has(child.childId)) {
      this.#rekeying.add(child.childId);
      void this.#rekey(child);
    }
    return { reply: { success: 'yes', matches: 1 } };
  }

  async #rekey(child: FakeChild): Promise<void> {
    try {
      await this.setUp(child.tunnel);
      this.tearDown(child);
      this.#rekeyed += 1;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#failures.push(error.message);
    } finally {
      this.#rekeying.delete(child.childId);
    }
  }

  #tables(): { readonly sas: readonly FeedSa[]; readonly policies: readonly FeedPolicy[] } {
    const children = [...this.#children.values()];
    return {
      sas: children.flatMap(({ inbound, outbound }) => [inbound, outbound]),
      policies: children.flatMap(({ policies }) => policies),
    };
  }
}

function listed(
  children: ReadonlyMap<number, FakeChild>,
  rekeying: ReadonlySet<number>,
): readonly ScriptedIkeSa[] {
  const ikeSas = new Map<number, FakeChild[]>();
  for (const child of children.values()) {
    const siblings = ikeSas.get(child.ikeId);
    if (siblings === undefined) ikeSas.set(child.ikeId, [child]);
    else siblings.push(child);
  }
  return [...ikeSas].map(([ikeId, siblings]) => ({
    name: `gw${ikeId}`,
    fields: { uniqueid: ikeId, version: 2, state: 'ESTABLISHED' },
    children: siblings.map((child) =>
      listedChild(child, rekeying.has(child.childId) ? 'REKEYING' : 'INSTALLED'),
    ),
  }));
}
