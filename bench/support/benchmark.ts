import type { Row } from './row.ts';

/** What a benchmark is given. */
export type BenchContext = {
  /** Fewer and shorter runs: shows that everything works, the figures are rough. */
  readonly isQuick: boolean;
  /** Says on standard error what is being measured. */
  readonly progress: (text: string) => void;
};

/** What `bench/NAME.ts` exports as `benchmark`. */
export type Benchmark = (context: BenchContext) => Promise<readonly Row[]>;
