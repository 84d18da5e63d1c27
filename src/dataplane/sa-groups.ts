import type { Mode, Protocol } from '../proto/index.ts';
import type { Address } from './address.ts';
import type { Template } from './policy-request.ts';

/**
 * What an inbound policy may ask of the SA a packet came on (RFC 4301, 5.2, step 4). SAs with a reqid are
 * tied to policies by it, whatever their SPIs: during a rekeying two of them carry one policy's packets,
 * and several CHILD_SAs may have the same selectors. An SA without a reqid is tied by SPI and destination.
 */
export type SaGroup = {
  readonly owner: string;
  readonly protocol: Protocol;
  readonly mode: Mode;
  readonly reqid: number;
  /** Of the one SA without a reqid; 0 with a reqid. */
  readonly spi: number;
  readonly destination: Address;
};

/** Names a group in the engine, where it is part of a flow's key; 0 is none. */
export type GroupNumber = number;

function groupKey({ owner, protocol, mode, reqid, spi, destination }: SaGroup): string {
  const member = reqid === 0 ? `${spi} ${destination}` : '';
  return `${protocol} ${mode} ${reqid} ${member} ${owner}`;
}

type Entry = { readonly number: GroupNumber; readonly key: string; readonly group: SaGroup; members: number };

/** Groups as long as they have members. A number is not used again before 2^32 others were. */
export class SaGroups {
  readonly #byKey = new Map<string, Entry>();
  readonly #byNumber = new Map<GroupNumber, Entry>();
  #last: GroupNumber = 0;

  join(group: SaGroup): GroupNumber {
    const key = groupKey(group);
    const existing = this.#byKey.get(key);
    if (existing !== undefined) {
      existing.members += 1;
      return existing.number;
    }
    const entry = { number: this.#unused(), key, group, members: 1 };
    this.#byKey.set(key, entry);
    this.#byNumber.set(entry.number, entry);
    return entry.number;
  }

  leave(number: GroupNumber): void {
    const entry = this.#byNumber.get(number);
    if (entry === undefined) return;
    entry.members -= 1;
    if (entry.members > 0) return;
    this.#byKey.delete(entry.key);
    this.#byNumber.delete(number);
  }

  get(number: GroupNumber): SaGroup | undefined {
    return this.#byNumber.get(number)?.group;
  }

  #unused(): GroupNumber {
    do this.#last = (this.#last + 1) >>> 0;
    while (this.#last === 0 || this.#byNumber.has(this.#last));
    return this.#last;
  }
}

/** Whether an SA of this group is what the template of a policy of this owner asks for. */
export function satisfies(group: SaGroup, template: Template, owner: string): boolean {
  if (group.owner !== owner || group.protocol !== template.protocol || group.mode !== template.mode) {
    return false;
  }
  if (group.reqid !== 0 || template.reqid !== 0) return group.reqid === template.reqid;
  return group.spi === template.spi && group.destination === template.destination;
}
