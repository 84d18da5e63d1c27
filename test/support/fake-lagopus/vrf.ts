import { Forwarding } from './forwarding.ts';
import type { NonceLog } from './nonce-log.ts';
import type { SaValues } from './sa.ts';
import { type Expiry, SaManager } from './sa-manager.ts';
import { SpManager } from './sp-manager.ts';

export type VrfUpcall =
  | { readonly kind: 'expire'; readonly expiry: Expiry }
  | { readonly kind: 'acquire'; readonly source: string; readonly destination: string };

/** One VRF of a vsw: its databases, and what its forwarding cores know of them since the last tick. */
export class Vrf {
  readonly name: string;
  readonly inbound = new SaManager();
  readonly outbound = new SaManager();
  readonly policies = new SpManager();
  readonly forwarding: Forwarding;

  constructor(name: string, nonces: NonceLog) {
    this.name = name;
    this.forwarding = new Forwarding(name, nonces);
  }

  get hasSas(): boolean {
    return !this.inbound.isEmpty || !this.outbound.isEmpty;
  }

  /** Both directions or none. */
  addSa(spi: number, values: SaValues | undefined): boolean {
    if (!this.inbound.add(spi, values)) return false;
    if (this.outbound.add(spi, values)) return true;
    this.inbound.delete(spi);
    return false;
  }

  deleteSa(spi: number): void {
    this.inbound.delete(spi);
    this.outbound.delete(spi);
  }

  /** @param shuffle the order of a Go map, which decides who of two SAs gets their slot. */
  tickSas(nowMs: number, shuffle: <T>(all: readonly T[]) => readonly T[]): readonly VrfUpcall[] {
    const upcalls: VrfUpcall[] = [];
    for (const direction of ['inbound', 'outbound'] as const) {
      if (direction === 'outbound') {
        for (const { source, destination } of this.forwarding.takeAcquires()) {
          upcalls.push({ kind: 'acquire', source, destination });
        }
      }
      const manager = this[direction];
      for (const expiry of manager.expire(nowMs)) upcalls.push({ kind: 'expire', expiry });
      const entries = manager.push();
      if (entries !== undefined) this.forwarding.pushSas(direction, shuffle(entries));
    }
    return upcalls;
  }

  tickPolicies(): void {
    const policies = this.policies.push();
    if (policies !== undefined) this.forwarding.pushPolicies(policies);
  }
}
