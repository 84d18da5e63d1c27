import { errorMessage, type Logger } from '../util/index.ts';
import type { Handle, NativeEngine } from './native.ts';
import type { DeviceIndex } from './scopes.ts';

/** While nothing is known of any tunnel: leaves room for every encapsulation on a path of 1500. */
export const UNKNOWN_MTU = 1_400;
/** What a link takes usually; those of larger ones are for a person to configure. */
export const LARGEST_MTU = 1_500;
/** IPv6 ends on a device below it. */
const SMALLEST_MTU = 1_280;

type Device = {
  /** How many tunnels there are for each of their sizes. */
  readonly counts: Map<number, number>;
  mtu: number;
};

export type DeviceMtusOptions = {
  readonly engine: Pick<NativeEngine, 'largestInner' | 'setMtu'>;
  readonly logger: Logger;
  /** Those configured with `mtu: auto`. */
  readonly devices: readonly DeviceIndex[];
};

/**
 * Keeps the MTU of TUN devices at what fits through all of their tunnels: the path MTU when an SA came, less
 * its overhead. A path that shrinks later is told to senders in ICMP, as with a configured MTU.
 */
export class DeviceMtus {
  readonly #options: DeviceMtusOptions;
  readonly #devices: ReadonlyMap<DeviceIndex, Device>;
  readonly #sizes = new Map<Handle, number>();

  constructor(options: DeviceMtusOptions) {
    this.#options = options;
    this.#devices = new Map(options.devices.map((index) => [index, { counts: new Map(), mtu: LARGEST_MTU }]));
  }

  /** The devices are open. */
  start(): void {
    for (const index of this.#devices.keys()) this.#follow(index);
  }

  /** An outbound SA came, or has other endpoints. */
  changed(sa: Handle, index: DeviceIndex): void {
    const device = this.#devices.get(index);
    if (device === undefined) return;
    const size = this.#options.engine.largestInner(sa);
    if (size === this.#sizes.get(sa)) return;
    this.#forget(device, sa);
    if (size > 0) {
      this.#sizes.set(sa, size);
      device.counts.set(size, (device.counts.get(size) ?? 0) + 1);
    }
    this.#follow(index);
  }

  removed(sa: Handle, index: DeviceIndex): void {
    const device = this.#devices.get(index);
    if (device === undefined) return;
    this.#forget(device, sa);
    this.#follow(index);
  }

  #forget({ counts }: Device, sa: Handle): void {
    const size = this.#sizes.get(sa);
    if (size === undefined) return;
    this.#sizes.delete(sa);
    const left = (counts.get(size) ?? 1) - 1;
    if (left === 0) counts.delete(size);
    else counts.set(size, left);
  }

  #follow(index: DeviceIndex): void {
    const device = this.#devices.get(index);
    if (device === undefined) return;
    // A rekeying leaves none for a moment at most: as long as there are policies, an SA follows.
    const smallest = device.counts.size === 0 ? UNKNOWN_MTU : Math.min(...device.counts.keys());
    const mtu = Math.min(LARGEST_MTU, Math.max(SMALLEST_MTU, smallest));
    if (mtu === device.mtu) return;
    const { engine, logger } = this.#options;
    try {
      engine.setMtu(index, mtu);
      device.mtu = mtu;
    } catch (error) {
      logger.warn({ device: index, mtu, reason: errorMessage(error) }, 'the MTU of a TUN device stays');
    }
  }
}
