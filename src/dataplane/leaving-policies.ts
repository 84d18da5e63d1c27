import type { NativeEngine } from './native.ts';
import { PolicyOrder } from './policy-order.ts';
import type { DeviceIndex } from './scopes.ts';
import type { PacketKey } from './selector.ts';
import type { PolicyRecord } from './spd.ts';

/** Longer than charon takes between the two, and a moment for everybody else. */
const GRACE_MS = 1_000;

/**
 * Inbound PROTECT policies for a moment after their deletion. When a CHILD_SA moves to other addresses charon
 * takes its policies away and puts them back, while its packets come in all the time: what an SA brings that
 * satisfies such a policy is let in as before, where no other policy is for it.
 */
export class LeavingPolicies {
  readonly #engine: Pick<NativeEngine, 'clearFlows'>;
  readonly #orders = new Map<DeviceIndex, PolicyOrder<PolicyRecord>>();

  constructor(engine: Pick<NativeEngine, 'clearFlows'>) {
    this.#engine = engine;
  }

  /** It was deleted just now. */
  add(record: PolicyRecord): void {
    if (!record.isInbound || record.act.kind !== 'protect') return;
    const order = this.#orders.get(record.device) ?? new PolicyOrder<PolicyRecord>();
    this.#orders.set(record.device, order);
    order.insert(record);
    setTimeout(() => {
      order.remove(record);
      this.#engine.clearFlows();
    }, GRACE_MS).unref();
  }

  lookup(device: DeviceIndex, packet: PacketKey): PolicyRecord | undefined {
    return this.#orders.get(device)?.first(packet);
  }
}
