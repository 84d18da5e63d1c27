export const SLOT_COUNT = 128;

/** The slot of an SPI: a 7-bit fold of FNV-1a over its bytes, low byte first; never 0. */
export function slotOf(spi: number): number {
  let hash = 2166136261;
  for (let shift = 0; shift < 32; shift += 8) {
    hash = Math.imul(hash ^ ((spi >>> shift) & 0xff), 16777619) >>> 0;
  }
  const folded = (((hash >>> 7) ^ hash) & 127) + 1;
  return (folded + (folded >>> 7)) & 127;
}
