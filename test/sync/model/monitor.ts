import type { PolicyUser, SaUsage, SecurityPolicy } from '../../../src/sad/index.ts';
import { actionName, parametersOf, policyName, saName, withoutKeys } from './names.ts';
import type { DataplaneWatcher, HeldSa, SimDataplane } from './sim-dataplane.ts';
import { effectiveActions, type SimPlugin, type TableSa } from './sim-plugin.ts';
import { WIPED, type WireOperation } from './wire.ts';

type AddSa = WireOperation & { readonly kind: 'add-sa' };

/** What one agent was told by charon, which is what it may act on. */
export type Knowledge = {
  readonly hasSnapshot: boolean;
  /** The parameters of the SA with this key; undefined when charon has none, as far as this agent was told. */
  readonly parametersOfKey: (key: string) => string | undefined;
};

/**
 * Watches the dataplane and what is sent to it. A broken rule is noted when it is broken; the world ends
 * the run then.
 */
export class Monitor implements DataplaneWatcher {
  readonly violations: string[] = [];
  /** The truth of now. */
  readonly #plugin: () => SimPlugin;
  /** Where each key was installed, ever. */
  readonly #places = new Map<string, Set<string>>();
  /** Policies that were in effect, ever. */
  readonly #puts = new Set<string>();
  /** The last sequence number each key was used with. */
  readonly #used = new Map<string, bigint>();

  constructor(plugin: () => SimPlugin) {
    this.#plugin = plugin;
  }

  violate(rule: string, what: string): void {
    this.violations.push(`${rule}: ${what}`);
  }

  installed(held: HeldSa, { key, replayState }: AddSa): void {
    const name = saName(held.sa.id);
    if (key === WIPED) this.violate('no key is used after it was wiped', name);
    const isFirst = !this.#places.has(key);
    this.moved(held);
    if (isFirst) return;
    if (held.sa.id.direction === 'outbound') {
      this.violate('no key is installed twice from sequence number 1', name);
    } else if (replayState === undefined && (held.sa.esn || held.sa.replayWindow > 0)) {
      this.violate('no inbound SA is installed again without its replay state', name);
    }
  }

  moved(held: HeldSa): void {
    const places = this.#places.get(held.key) ?? new Set();
    places.add(`${saName(held.sa.id)} from ${held.sa.source}`);
    this.#places.set(held.key, places);
  }

  deleted(held: HeldSa): void {
    const name = saName(held.sa.id);
    const wanted = this.#plugin().sas.get(name);
    const isSame =
      wanted?.key === held.key && parametersOf(withoutKeys(wanted.make())) === parametersOf(held.sa);
    if (isSame) {
      this.violate('nothing is deleted that charon has', name);
    }
  }

  policyPut({ id, action }: SecurityPolicy): void {
    this.#puts.add(`${policyName(id)} ${actionName(action)}`);
  }

  /** Shunts are left out: charon has them before anybody was asked. */
  policyDeleted(name: string): void {
    const action = effectiveActions(this.#plugin().users).get(name);
    if (action?.startsWith('protect'))
      this.violate('nothing is deleted that charon has', `${name}, ${action}`);
  }

  sent(held: HeldSa, sequence: bigint): void {
    const last = this.#used.get(held.key) ?? 0n;
    if (sequence <= last) {
      this.violate('no sequence number is used twice with a key', `${saName(held.sa.id)} #${sequence}`);
    }
    this.#used.set(held.key, sequence);
  }

  /** A batch leaves: what of it is deleted needs evidence that its sender has. */
  sends(batch: readonly WireOperation[], known: Knowledge, dataplane: SimDataplane): void {
    for (const operation of batch) {
      if (operation.kind === 'delete-sa') {
        const held = dataplane.sas.get(saName(operation.id));
        if (held === undefined) continue;
        const wanted = known.parametersOfKey(held.key);
        // One that differs in what no move changes can only be replaced.
        const isReplaced = wanted !== undefined && wanted !== parametersOf(held.sa);
        if (!known.hasSnapshot || (wanted !== undefined && !isReplaced)) {
          this.violate('nothing is deleted without evidence', saName(operation.id));
        }
      }
      if (operation.kind === 'delete-policy') {
        if (!known.hasSnapshot) {
          this.violate('nothing is deleted without evidence', policyName(operation.id));
        }
      }
    }
  }

  /** An SA was reported installed. */
  answeredAdd(key: string, name: string): void {
    if (!this.#places.has(key)) this.violate('nothing is answered that is not in effect', `add ${name}`);
  }

  answeredMove(place: string): void {
    if (![...this.#places.values()].some((places) => places.has(place))) {
      this.violate('nothing is answered that is not in effect', `move to ${place}`);
    }
  }

  /** The newest of a CHILD_SA is in effect, unless a shunt goes before it. */
  answeredPolicy({ id, action }: PolicyUser, dataplane: SimDataplane): void {
    if (action.kind !== 'protect' || action.template.spi === undefined || id.direction === 'forward') return;
    const name = policyName(id);
    const isShunted = dataplane.policies.get(name)?.policy.action.kind !== 'protect';
    if (!isShunted && !this.#puts.has(`${name} ${actionName(action)}`)) {
      this.violate('nothing is answered that is not in effect', name);
    }
  }

  /** Whether the dataplane has an SA as it is to be. */
  isHeld({ id, key, make }: TableSa, dataplane: SimDataplane): boolean {
    const held = dataplane.sas.get(saName(id));
    return held?.key === key && parametersOf(held.sa) === parametersOf(withoutKeys(make()));
  }

  /** charon's tables and the dataplane are the same, but for what is left out. */
  compareAll(
    dataplane: SimDataplane,
    rule = 'in the end the dataplane holds what charon has',
    isLeftOut: (name: string) => boolean = () => false,
  ): void {
    for (const [name, what] of this.#differences(dataplane)) {
      if (!isLeftOut(name)) this.violate(rule, `${name} ${what}`);
    }
  }

  *#differences(dataplane: SimDataplane): Generator<readonly [string, string], void, undefined> {
    const { sas, users } = this.#plugin();
    for (const [name, sa] of sas) {
      const held = dataplane.sas.get(name);
      if (held === undefined) yield [name, 'is missing'];
      else if (held.key !== sa.key) yield [name, 'has another key'];
      else if (!this.isHeld(sa, dataplane)) yield [name, 'differs'];
    }
    for (const name of dataplane.sas.keys()) if (!sas.has(name)) yield [name, 'is too much'];
    const actions = effectiveActions(users);
    for (const [name, action] of actions) {
      const held = dataplane.policies.get(name);
      const actual = held === undefined ? 'missing' : actionName(held.policy.action);
      if (actual !== action) yield [name, `is ${actual} and not ${action}`];
    }
    for (const name of dataplane.policies.keys()) if (!actions.has(name)) yield [name, 'is too much'];
  }
}

/** The replay state one agent was told of each key. */
export class ToldReplayState {
  readonly #highest = new Map<string, bigint>();
  readonly #monitor: Monitor;

  constructor(monitor: Monitor) {
    this.#monitor = monitor;
  }

  /** `keyOf` an SA by its name. */
  told(usages: readonly SaUsage[], keyOf: (name: string) => string | undefined): void {
    for (const { id, replayState } of usages) {
      const key = keyOf(saName(id));
      if (key !== undefined && replayState !== undefined) this.#highest.set(key, replayState.highestSequence);
    }
  }

  sends(batch: readonly WireOperation[]): void {
    for (const operation of batch) {
      if (operation.kind !== 'add-sa' || operation.replayState === undefined) continue;
      if (operation.replayState.highestSequence < (this.#highest.get(operation.key) ?? 0n)) {
        this.#monitor.violate(
          'no inbound SA is installed again with less than was known',
          saName(operation.sa.id),
        );
      }
    }
  }
}
