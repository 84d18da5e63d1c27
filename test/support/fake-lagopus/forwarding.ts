import type { NonceLog } from './nonce-log.ts';
import { type Direction, identityOf, type SaValues } from './sa.ts';
import { SLOT_COUNT, slotOf } from './slots.ts';
import { ANY_PROTOCOL, type HeldSp, type Selector } from './sp-manager.ts';

/** RTE_ACL_MAX_PRIORITY: cspd4.go cuts off what is above. */
const MAX_PRIORITY = 0x1fffffff;

export type InnerPacket = {
  readonly source: string;
  readonly destination: string;
  readonly protocol?: number;
};

export type EspPacket = {
  readonly spi: number;
  readonly sequence: number;
  readonly source: string;
  readonly destination: string;
  /** Instead of encryption: who has this key can open it. */
  readonly key: string;
  readonly udp?: SaValues['udp'];
  readonly inner: InnerPacket;
};

export type Sent =
  | { readonly kind: 'esp'; readonly packet: EspPacket }
  | { readonly kind: 'clear' }
  | { readonly kind: 'dropped'; readonly reason: 'closed' | 'no policy' | 'discard' | 'no SA' };

export type Received =
  | { readonly kind: 'delivered'; readonly inner: InnerPacket }
  | {
      readonly kind: 'dropped';
      readonly reason:
        | 'closed'
        | 'no SA'
        | 'addresses'
        | 'integrity'
        | 'no policy'
        | 'discard'
        | 'SPI of the policy';
    };

type Slot = { readonly spi: number; readonly values: SaValues };
type Session = { readonly identity: string; sequence: number };
type Table = { slots: (Slot | undefined)[]; sessions: (Session | undefined)[] };

/**
 * What the forwarding cores of one VRF know, which is what ticks pushed: a table of slots per direction,
 * a session with its sequence number per slot (modules/tunnel/ipsec/sa.c), policies.
 */
export class Forwarding {
  readonly #tables: Record<Direction, Table>;
  readonly #nonces: NonceLog;
  readonly #vrf: string;
  /** Whether a tunnel interface of the VRF is enabled: else nobody takes what is routed into it. */
  isOpen = false;
  #policies: readonly HeldSp[] = [];
  /** By slot, one per tick: later packets overwrite. */
  readonly #acquires = new Map<number, InnerPacket>();

  constructor(vrf: string, nonces: NonceLog) {
    this.#vrf = vrf;
    this.#nonces = nonces;
    const table = (): Table => ({ slots: [], sessions: [] });
    this.#tables = { inbound: table(), outbound: table() };
  }

  /** Of two SAs with one slot the later entry stays, silently; a slot whose SA changed starts over. */
  pushSas(direction: Direction, entries: readonly Slot[]): void {
    const table = this.#tables[direction];
    table.slots = new Array<Slot | undefined>(SLOT_COUNT).fill(undefined);
    for (const entry of entries) table.slots[slotOf(entry.spi)] = entry;
    for (const [at, session] of table.sessions.entries()) {
      const slot = table.slots[at];
      if (session === undefined) continue;
      if (slot === undefined || identityOf(slot.spi, slot.values) !== session.identity) {
        table.sessions[at] = undefined;
      }
    }
  }

  pushPolicies(policies: readonly HeldSp[]): void {
    const priorityOf = ({ priority }: HeldSp): number => Math.min(Math.max(priority, 0), MAX_PRIORITY);
    this.#policies = [...policies].sort((a, b) => priorityOf(b) - priorityOf(a));
  }

  takeAcquires(): readonly InnerPacket[] {
    const acquires = [...this.#acquires.values()];
    this.#acquires.clear();
    return acquires;
  }

  /** The SPIs that hold a slot now. */
  installed(direction: Direction): readonly number[] {
    return this.#tables[direction].slots.flatMap((slot) => (slot === undefined ? [] : [slot.spi]));
  }

  /** An inner packet routed to the tunnel interface. The slot is not checked for the policy's SPI. */
  send(inner: InnerPacket): Sent {
    if (!this.isOpen) return { kind: 'dropped', reason: 'closed' };
    const policy = this.#policyFor('outbound', inner);
    if (policy === undefined) return { kind: 'dropped', reason: 'no policy' };
    if (policy.policy === 'discard') return { kind: 'dropped', reason: 'discard' };
    if (policy.policy === 'bypass') return { kind: 'clear' };
    const at = slotOf(policy.spi);
    const slot = this.#tables.outbound.slots[at];
    if (slot === undefined) {
      this.#acquires.set(at, inner);
      return { kind: 'dropped', reason: 'no SA' };
    }
    const session = this.#sessionAt('outbound', at, slot);
    session.sequence = (session.sequence + 1) >>> 0;
    const key = slot.values.encryptionKey.toString('hex') + slot.values.integrityKey.toString('hex');
    this.#nonces.note({ vrf: this.#vrf, spi: slot.spi, key, sequence: session.sequence });
    const { local, remote, udp } = slot.values;
    return {
      kind: 'esp',
      packet: {
        spi: slot.spi,
        sequence: session.sequence,
        source: local,
        destination: remote,
        key,
        inner,
        ...(udp === undefined ? {} : { udp }),
      },
    };
  }

  /** A packet from the wire. There is no replay window. */
  receive({ spi, source, destination, key, inner }: EspPacket): Received {
    if (!this.isOpen) return { kind: 'dropped', reason: 'closed' };
    const at = slotOf(spi);
    const slot = this.#tables.inbound.slots[at];
    if (slot === undefined || slot.spi !== spi) return { kind: 'dropped', reason: 'no SA' };
    const { values } = slot;
    if (values.local !== source || values.remote !== destination)
      return { kind: 'dropped', reason: 'addresses' };
    const own = values.encryptionKey.toString('hex') + values.integrityKey.toString('hex');
    if (own !== key) return { kind: 'dropped', reason: 'integrity' };
    const policy = this.#policyFor('inbound', inner);
    if (policy === undefined) return { kind: 'dropped', reason: 'no policy' };
    if (policy.policy === 'bypass') return { kind: 'delivered', inner };
    if (policy.policy === 'discard') return { kind: 'dropped', reason: 'discard' };
    // The slot that the policy names has to hold the SA that opened the packet.
    if (this.#tables.inbound.slots[slotOf(policy.spi)]?.spi !== spi) {
      return { kind: 'dropped', reason: 'SPI of the policy' };
    }
    return { kind: 'delivered', inner };
  }

  #sessionAt(direction: Direction, at: number, slot: Slot): Session {
    const { sessions } = this.#tables[direction];
    const session = sessions[at] ?? { identity: identityOf(slot.spi, slot.values), sequence: 0 };
    sessions[at] = session;
    return session;
  }

  #policyFor(direction: Direction, packet: InnerPacket): HeldSp | undefined {
    return this.#policies.find(
      (policy) => policy.direction === direction && matches(policy.selector, packet),
    );
  }
}

function matches(selector: Selector, { source, destination, protocol = 17 }: InnerPacket): boolean {
  return (
    isInside(source, selector.source, selector.sourcePrefix) &&
    isInside(destination, selector.destination, selector.destinationPrefix) &&
    (selector.protocol === ANY_PROTOCOL || selector.protocol === protocol)
  );
}

function isInside(address: string, network: string, prefix: number): boolean {
  const shift = BigInt(32 - prefix);
  return numberOf(address) >> shift === numberOf(network) >> shift;
}

function numberOf(address: string): bigint {
  return address.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
}
