import type { RandomBytes } from './ports.ts';

/** A factor in [1 - spread, 1], so that what failed together is not tried again together. */
export type Jitter = () => number;

export function jitter(random: RandomBytes, spread: number): Jitter {
  return () => {
    const [high = 0, low = 0] = random(2);
    return 1 - (spread * ((high << 8) | low)) / 0xffff;
  };
}
