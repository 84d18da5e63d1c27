/** Slots of a VRF and direction in vsw's forwarding cores: 1..127. */
export const SLOT_COUNT = 127;

/** So many values the hash has before the last one is folded onto the first. */
const HASH_VALUES = 128;
/** The slot that two of the hash's values lead to. */
const DOUBLE_SLOT = 1;

const FNV_OFFSET = 2166136261;
const FNV_PRIME = 16777619;

/** Where vsw keeps the SA of an SPI: 7 bits of FNV-1a over its bytes, low byte first. It takes no note of collisions. */
export function slotOf(spi: number): number {
  let hash = FNV_OFFSET;
  for (let shift = 0; shift < 32; shift += 8) {
    hash = Math.imul(hash ^ ((spi >>> shift) & 0xff), FNV_PRIME) >>> 0;
  }
  const folded = (((hash >>> 7) ^ hash) & 127) + 1;
  return (folded + (folded >>> 7)) & 127;
}

/** How likely an SPI somebody else draws at random falls into one of these slots. */
export function collisionOdds(slots: Iterable<number>): number {
  let taken = 0;
  for (const slot of slots) taken += slot === DOUBLE_SLOT ? 2 : 1;
  return taken / HASH_VALUES;
}
