import type { Direction } from './sa.ts';

/** IPSEC_ULPROTO_ANY. 0 is a protocol of its own, that no packet is of. */
export const ANY_PROTOCOL = 255;

export type Selector = {
  readonly source: string;
  readonly sourcePrefix: number;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPrefix: number;
  readonly destinationPort: number;
  readonly protocol: number;
};

export type SpDirection = Direction | 'forward';
export type SpPolicy = 'discard' | 'bypass' | 'protect' | 'other';

export type SpValues = {
  readonly policy: SpPolicy;
  readonly priority: number;
  /** 0: bound to none, so never pushed. */
  readonly spi: number;
  /** What PF_KEY asked for, to be read back. */
  readonly request?: {
    readonly level: number;
    readonly reqid: number;
    readonly local: string;
    readonly remote: string;
  };
};

export type HeldSp = SpValues & {
  readonly id: number;
  readonly direction: SpDirection;
  readonly selector: Selector;
};

/** Rules of a direction in the forwarding cores, one of them vsw's own (modules/tunnel/ipsec/sp4.c). */
const MAX_RULES = 1024;

export function selectorKey(selector: Selector, direction: SpDirection): string {
  return `${direction} ${Object.values(selector).join(' ')}`;
}

/** One VRF's policies: no two with one selector and direction (agents/tunnel/ipsec/spd/spd_mgr.go). */
export class SpManager {
  readonly #sps = new Map<string, HeldSp>();
  #isModified = false;

  /** @returns its id, or undefined when the selector is taken. */
  add(direction: SpDirection, selector: Selector, values: SpValues): number | undefined {
    const key = selectorKey(selector, direction);
    if (this.#sps.has(key)) return undefined;
    const id = idOf(key);
    this.#sps.set(key, { ...values, id, direction, selector });
    this.#isModified ||= values.spi !== 0;
    return id;
  }

  /** @returns its id, or undefined when there is none. */
  update(direction: SpDirection, selector: Selector, values: SpValues): number | undefined {
    const key = selectorKey(selector, direction);
    const old = this.#sps.get(key);
    if (old === undefined) return undefined;
    this.#sps.set(key, { ...old, ...values });
    this.#isModified ||= values.spi !== 0;
    return old.id;
  }

  delete(direction: SpDirection, selector: Selector): boolean {
    const key = selectorKey(selector, direction);
    const old = this.#sps.get(key);
    this.#isModified ||= old !== undefined && old.spi !== 0;
    return this.#sps.delete(key);
  }

  findById(id: number): HeldSp | undefined {
    return [...this.#sps.values()].find((sp) => sp.id === id);
  }

  list(): readonly HeldSp[] {
    return [...this.#sps.values()];
  }

  /** What a tick gives to the forwarding cores, when anything changed. One rule too many, and they keep what they have. */
  push(): readonly HeldSp[] | undefined {
    if (!this.#isModified) return undefined;
    this.#isModified = false;
    const bound = this.list().filter(({ spi }) => spi !== 0);
    const isTooMany = (['inbound', 'outbound'] as const).some(
      (direction) => 1 + bound.filter((sp) => sp.direction === direction).length > MAX_RULES,
    );
    return isTooMany ? undefined : bound;
  }
}

/** 12 bits of FNV-1a, as spd_mgr.go folds its key. */
function idOf(key: string): number {
  let hash = 2166136261;
  for (const byte of Buffer.from(key)) hash = Math.imul(hash ^ byte, 16777619) >>> 0;
  return ((hash >>> 12) ^ hash) & 0xfff;
}
