import type { CallOptions, DataplaneEvent, TunnelControl } from '../../../src/sync/index.ts';
import { AgentError, assertNever } from '../../../src/util/index.ts';
import { FaultPlan } from './faults.ts';
import { Monitor } from './monitor.ts';
import { saName } from './names.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimAgent } from './sim-agent.ts';
import { ADDRESSES, type ChildSa, SimCharon } from './sim-charon.ts';
import { SimClock } from './sim-clock.ts';
import { SimDataplane } from './sim-dataplane.ts';
import { SimPlugin } from './sim-plugin.ts';
import type { Step } from './steps.ts';

/** After the faults have stopped; longer than the longest back-offs together. */
const RECOVERY_MS = 400_000;

/** Steps after which calls may take longer for a while. */
const DISTURBING = new Set<Step['kind']>(['dataplane', 'charon', 'agent', 'feed', 'entry is stuck']);
/** What nobody is told of is found by the next periodic comparison. */
const SILENT = new Set<Step['kind']>(['SA expires', 'SA vanishes', 'SA changes']);
const AUDIT_MS = 10_000;
const CALM_MS = 6_000;
const QUIET_MS = 500;

/** A rule that was broken. */
export class ViolationError extends Error {
  override readonly name = 'ViolationError';
  /** What happened until then. */
  readonly log: readonly string[];

  constructor(rule: string, log: readonly string[], cause?: unknown) {
    super(rule, { cause });
    this.log = log;
  }
}

/**
 * charon, an agent and a dataplane, with everything between them, on one clock. What happens depends on
 * the seed and the steps alone.
 */
export class World {
  /** What happened, in lines. */
  readonly log: string[] = [];
  readonly #clock = new SimClock(() => this.#agent.checkIdle());
  readonly #random: SeededRandom;
  readonly #faults = new FaultPlan((fault) => this.#disturb('delayMs' in fault ? fault.delayMs : 0));
  readonly #monitor: Monitor;
  readonly #latencyMs: number;
  /** Whose CHILD_SA an outbound SPI is cannot be told then. */
  readonly #hasSharedSpis: boolean;
  readonly #dataplane: SimDataplane;
  #charon: SimCharon;
  #agent: SimAgent;
  #disturbedMs = 0;
  /** SAs that were said to have no sequence numbers left, also where they went since. */
  readonly #exhausted = new Set<string>();
  /** Entries on which everything failed for a while: each has a back-off of its own, of up to a minute. */
  readonly #everStuck = new Set<string>();
  #charons = 0;
  #keys = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.#hasSharedSpis = this.#random.isTrue(50);
    this.#latencyMs = this.#random.isTrue(50) ? 3 : 25;
    this.#monitor = new Monitor(() => this.#charon.plugin);
    this.#dataplane = new SimDataplane(this.#monitor, () => this.#clock.now(), !this.#random.isTrue(20));
    this.#dataplane.onEvent = (event) => this.#onEvent(event);
    this.#charon = this.#newCharon();
    this.#agent = this.#newAgent();
  }

  /** @throws ViolationError when a rule is broken */
  async run(steps: readonly Step[]): Promise<void> {
    await this.#pass(2_000);
    for (const step of steps) {
      await this.#pass(step.afterMs);
      this.#compareWhenCalm();
      this.#note(`STEP ${step.kind}`);
      if (DISTURBING.has(step.kind)) this.#disturb(0);
      if (SILENT.has(step.kind)) this.#disturb(AUDIT_MS);
      await this.#do(step);
      this.#check();
    }
    await this.#recover();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#charon.kill();
    await this.#agent.stop();
  }

  async #do(step: Step): Promise<void> {
    switch (step.kind) {
      case 'set up':
        return this.#charon.setUp(step.peer, step.net, step.options);
      case 'rekey':
        return this.#withChild(step.child, (child) => this.#charon.rekey(child, step.role));
      case 'delete':
        return this.#withChild(step.child, (child) => this.#charon.delete(child));
      case 'delete all':
        return this.#charon.deleteAll(step.peer);
      case 'move':
        return this.#charon.move(step.peer, step.end);
      case 'trap':
        return this.#charon.toggleTrap(step.net);
      case 'shunt':
        return this.#charon.toggleShunt(step.net, step.shunt);
      case 'packets':
        return this.#dataplane.carry(step.count);
      case 'SA expires':
        return this.#withSa(step.sa, (name) => this.#dataplane.expire(name));
      case 'sequence ends':
        return this.#withSa(step.sa, (name) => this.#exhaust(name));
      case 'SA vanishes':
        return this.#withSa(step.sa, (name) => this.#dataplane.lose(name));
      case 'SA changes':
        return this.#withSa(step.sa, (name) => this.#dataplane.change(name, step.what));
      case 'entry is stuck':
        return this.#stick(step.index);
      case 'dataplane':
        if (step.event === 'restarts') this.#dataplane.crash();
        return this.#disconnectDataplane();
      case 'feed':
        return this.#disconnectFeed();
      case 'charon':
        this.#charon.kill();
        this.#charon = this.#newCharon();
        return this.#disconnectFeed();
      case 'agent':
        return this.#restartAgent();
      case 'audit':
        this.#agent.engine.audit().catch(() => undefined);
        return;
      case 'fault':
        return this.#faults.add(step.fault);
      default:
        return assertNever(step, 'step');
    }
  }

  /** When nothing has gone wrong and charon has done nothing for a while, nothing is left to repair. */
  #compareWhenCalm(): void {
    const nowMs = this.#clock.now();
    const { plugin } = this.#charon;
    const isCalm = nowMs > this.#disturbedMs + CALM_MS && nowMs > plugin.changedMs + QUIET_MS;
    if (!isCalm || this.#dataplane.stuck !== undefined || !this.#isSettled()) return;
    this.#monitor.compareAll(this.#dataplane, 'nothing is left undone');
    this.#check();
  }

  /** No more faults: everything has to be as charon has it, and to stay so. */
  async #recover(): Promise<void> {
    this.#note('faults stop');
    this.#faults.clear();
    await this.#recoverBesidesStuck();
    const endMs = this.#clock.now() + RECOVERY_MS;
    // Long enough for a late comparison and the next periodic one: nobody tells of what vanished or changed
    // by itself.
    for (let passMs = 16_000; this.#clock.now() < endMs; passMs = 5_000) {
      await this.#pass(passMs);
      this.#check();
      if (this.#isSettled()) break;
    }
    const { engine } = this.#agent;
    if (!this.#isSettled()) {
      const { link, reason, repairs, rekeys } = engine.status();
      this.#monitor.violate(
        'in the end the agent is in sync',
        JSON.stringify({ link, reason, repairs, rekeys }),
      );
    }
    this.#monitor.compareAll(this.#dataplane);
    this.#check();
    const batches = this.#agent.batches;
    const audit = engine.audit();
    await this.#pass(1_000);
    const summary = Object.values(await audit);
    if (this.#agent.batches !== batches || summary.some((count) => count > 0)) {
      this.#monitor.violate('a second comparison sends nothing', summary.join());
    }
    this.#monitor.compareAll(this.#dataplane);
    this.#agent.checkWiped();
    this.#check();
  }

  /** Asked of the agent: at least one of its SAs is not what it should be. */
  #checkRekey({ inbound, outbound }: ChildSa): void {
    const sas = [inbound, outbound].filter((sa) => sa !== undefined);
    const isWhole = sas.every((sa) => this.#monitor.isHeld(sa, this.#dataplane));
    const isExhausted = sas.some(({ id }) => this.#exhausted.has(saName(id)));
    if (isWhole && !isExhausted && !this.#hasSharedSpis) {
      this.#monitor.violate('no CHILD_SA is rekeyed that is whole', sas.map(({ id }) => saName(id)).join());
    }
  }

  /** The entry that is stuck vanishes, and can never be put back; later another one vanishes. */
  async #recoverBesidesStuck(): Promise<void> {
    const { stuck, sas, policies } = this.#dataplane;
    if (stuck === undefined) return;
    sas.delete(stuck);
    policies.delete(stuck);
    for (const _ of Array(6)) {
      await this.#pass(5_000);
      this.#check();
    }
    const { engine } = this.#agent;
    if (engine.status().link === 'up' && engine.status().rekeys.length === 0 && this.#charon.isIdle) {
      const other = [...policies.keys()].find((name) => name !== stuck);
      if (other !== undefined) policies.delete(other);
      engine.audit().catch(() => undefined);
      await this.#pass(1_000);
      this.#monitor.compareAll(this.#dataplane, 'one bad entry holds up no other', (name) =>
        this.#everStuck.has(name),
      );
    }
    this.#check();
    this.#dataplane.stuck = undefined;
  }

  #exhaust(name: string): void {
    const id = this.#dataplane.sas.get(name)?.sa.id;
    if (id === undefined) return;
    for (const destination of ADDRESSES) this.#exhausted.add(saName({ ...id, destination }));
    this.#dataplane.exhaust(name);
  }

  #stick(index: number): void {
    const names = [...this.#dataplane.sas.keys(), ...this.#dataplane.policies.keys()];
    const stuck = names[index % names.length];
    this.#dataplane.stuck = stuck;
    if (stuck !== undefined) this.#everStuck.add(stuck);
  }

  #isSettled(): boolean {
    const { isQuiet, client, engine } = this.#agent;
    const isConnected = client.isConnected && this.#charon.plugin.isConnected;
    return isQuiet && isConnected && this.#charon.isIdle && engine.status().isInSync;
  }

  async #pass(delayMs: number): Promise<void> {
    await this.#clock.advance(delayMs);
  }

  /** @throws ViolationError */
  #check(): void {
    this.#agent.check();
    const [violation] = this.#monitor.violations;
    if (violation !== undefined) throw new ViolationError(violation, this.log);
  }

  #disturb(delayMs: number): void {
    this.#disturbedMs = Math.max(this.#disturbedMs, this.#clock.now() + delayMs);
  }

  #note(line: string): void {
    this.log.push(`${String(this.#clock.now()).padStart(7)} ${line}`);
  }

  #withChild(index: number, act: (child: ChildSa) => void): void {
    const { children } = this.#charon;
    const child = children[index % children.length];
    if (child !== undefined) act(child);
  }

  #withSa(index: number, act: (name: string) => void): void {
    const names = [...this.#dataplane.sas.keys()];
    const name = names[index % names.length];
    if (name !== undefined) act(name);
  }

  #newCharon(): SimCharon {
    this.#charons += 1;
    const plugin = new SimPlugin(`0${this.#charons}`, this.#clock, this.#random);
    return new SimCharon({
      plugin,
      clock: this.#clock,
      random: this.#random,
      newKey: () => {
        this.#keys += 1;
        return Uint8Array.of(...Array<number>(16).fill(0xaa), 0, 0, this.#keys >> 8, this.#keys & 0xff);
      },
      hasSharedSpis: this.#hasSharedSpis,
    });
  }

  #newAgent(): SimAgent {
    const agent = new SimAgent({
      dataplane: this.#dataplane,
      clock: this.#clock,
      random: this.#random,
      latencyMs: this.#latencyMs,
      faults: this.#faults,
      monitor: this.#monitor,
      tunnels: this.#tunnels(),
      disturbedMs: () => this.#disturbedMs,
      onReadiness: (self, isReady) => this.#charon.plugin.setReady(self, isReady),
      log: (line) => this.#note(line),
    });
    this.#connectDataplaneLater(agent);
    this.#connectFeedLater(agent);
    return agent;
  }

  async #restartAgent(): Promise<void> {
    const old = this.#agent;
    this.#charon.plugin.disconnect();
    await old.stop();
    this.#agent = this.#newAgent();
  }

  #connectDataplaneLater(agent: SimAgent): void {
    this.#clock.at(this.#random.between(50, 600), () => {
      if (agent.isStopped || agent.client.isConnected) return;
      if (this.#faults.take('connect') !== undefined) {
        this.#connectDataplaneLater(agent);
        return;
      }
      this.#note('dataplane connected');
      agent.engine.dataplaneUp(agent.client.connect());
    });
  }

  /** Calls end and the loss is noticed at about the same time, in either order. */
  #disconnectDataplane(): void {
    const agent = this.#agent;
    if (!agent.client.isConnected) return;
    this.#clock.at(this.#random.int(20), () => agent.client.disconnect('the connection is lost'));
    this.#clock.at(this.#random.int(20), () => {
      if (agent.isStopped) return;
      this.#note('dataplane lost');
      agent.engine.dataplaneDown('the connection is lost');
      this.#connectDataplaneLater(agent);
    });
  }

  #connectFeedLater(agent: SimAgent): void {
    this.#clock.at(this.#random.between(20, 600), () => {
      const { plugin } = this.#charon;
      if (agent.isStopped || plugin.isConnected) return;
      plugin.connect(agent);
      plugin.setReady(agent, agent.engine.readiness.kind === 'ready');
    });
  }

  #disconnectFeed(): void {
    this.#charon.plugin.disconnect();
    this.#connectFeedLater(this.#agent);
  }

  #onEvent(event: DataplaneEvent): void {
    const fault = this.#faults.take('event');
    const delayMs = fault?.kind === 'late' ? fault.delayMs : this.#random.int(3);
    const delivered: DataplaneEvent = fault?.kind === 'lost' ? { kind: 'gap' } : event;
    const agent = this.#agent;
    for (let copy = 0; copy < (fault?.kind === 'twice' ? 2 : 1); copy++) {
      this.#clock.at(delayMs + copy, () => {
        if (agent.isStopped || !agent.client.isConnected) return;
        agent.event(delivered);
        const { plugin } = this.#charon;
        if (delivered.kind === 'expire' && plugin.isConnectedTo(agent)) this.#charon.expireSa(delivered.id);
      });
    }
  }

  #tunnels(): TunnelControl {
    const ask = async <Answer>({ signal }: CallOptions, answer: () => Answer): Promise<Answer> => {
      const fault = this.#faults.take('vici');
      const charon = this.#charon;
      await this.#clock.sleep(fault?.kind === 'late' ? fault.delayMs : 1, { signal });
      if (fault?.kind === 'failed' || charon !== this.#charon) {
        throw new AgentError('no VICI', { code: 'unavailable', retryable: true });
      }
      return answer();
    };
    return {
      listChildSas: (options = {}) => ask(options, () => this.#charon.list()),
      listAllChildSas: (options = {}) =>
        ask(options, () => ({ children: this.#charon.list(), isComplete: this.#charon.isListedWhole })),
      // Nobody tells this engine of setups that failed.
      listIkeSas: async () => [],
      initiateChildSa: async () => ({ kind: 'impossible', reason: 'charon has no connection' }),
      rekeyChildSa: ({ childId }, options = {}) =>
        ask(options, () => {
          this.#note(`VICI: rekey ${childId}`);
          const child = this.#charon.children.find(({ uniqueId }) => String(uniqueId) === childId);
          if (child === undefined)
            throw new AgentError('no such CHILD_SA', { code: 'refused', retryable: true });
          this.#checkRekey(child);
          this.#charon.rekey(child, 'initiator');
        }),
    };
  }
}
