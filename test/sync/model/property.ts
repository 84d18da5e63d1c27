import fc from 'fast-check';
import { errorMessage } from '../../../src/util/index.ts';
import { describeStep, type Step, step } from './steps.ts';
import { ViolationError, World } from './world.ts';

type Case = { readonly seed: number; readonly steps: readonly Step[] };

export type CheckOptions = {
  /** fast-check's; undefined: another one each time. */
  readonly seed: number | undefined;
  /** Replays one failure, with its seed. */
  readonly path?: string | undefined;
  readonly runs: number;
  readonly limitMs: number;
  /** For making a failure smaller; 0: not at all. */
  readonly shrinkMs: number;
};

/** What came of it. A failure has all it takes to see it again. */
export type CheckResult = {
  readonly seed: number;
  readonly runs: number;
  readonly failure: { readonly rule: string; readonly report: string } | undefined;
};

const MAX_STEPS = 40;
const LOG_LINES = 200;

/** A world's seed, for latencies and the like, and what happens in it. */
const anyCase: fc.Arbitrary<Case> = fc.record({
  seed: fc.integer({ min: 1, max: 0xffff }),
  steps: fc.array(step, { minLength: 1, maxLength: MAX_STEPS, size: 'max' }),
});

/** @throws ViolationError */
async function runCase({ seed, steps }: Case): Promise<void> {
  const world = new World(seed);
  const rejected: unknown[] = [];
  const onRejection = (error: unknown): void => {
    rejected.push(error);
  };
  process.on('unhandledRejection', onRejection);
  try {
    await world.run(steps);
    await world[Symbol.asyncDispose]();
    if (rejected.length > 0) throw rejected[0];
  } catch (error) {
    await world[Symbol.asyncDispose]();
    if (error instanceof ViolationError) throw error;
    throw new ViolationError(`nothing is thrown: ${errorMessage(error)}`, world.log, error);
  } finally {
    process.off('unhandledRejection', onRejection);
  }
}

function describe({ seed, path }: { seed: number; path: string }, { steps }: Case, error: unknown): string {
  const log = error instanceof ViolationError ? error.log : [];
  return [
    errorMessage(error),
    `again: LAGOPUS_MODEL_SEED=${seed} LAGOPUS_MODEL_PATH=${path}`,
    ...steps.map(describeStep),
    '',
    ...log.slice(-LOG_LINES),
  ].join('\n');
}

/** Runs worlds until one breaks a rule, the number is reached or the time is over. */
export async function checkModel(options: CheckOptions): Promise<CheckResult> {
  const property = fc.asyncProperty(anyCase, runCase);
  const { seed, path, runs: numRuns, limitMs, shrinkMs } = options;
  const parameters = { ...(seed === undefined ? {} : { seed }), ...(path === undefined ? {} : { path }) };
  const first = await fc.check(property, {
    ...parameters,
    numRuns,
    endOnFailure: true,
    interruptAfterTimeLimit: limitMs,
  });
  if (!first.failed || first.counterexample === null) {
    return { seed: first.seed, runs: first.numRuns, failure: undefined };
  }
  const shrunk = await fc.check(property, {
    seed: first.seed,
    path: first.counterexamplePath,
    numRuns: 1,
    endOnFailure: shrinkMs === 0,
    interruptAfterTimeLimit: Math.max(shrinkMs, 1_000),
  });
  // An interruption may come before the first failure of the second check.
  const { counterexample, counterexamplePath, errorInstance } =
    shrunk.counterexample === null ? first : shrunk;
  const [found] = counterexample ?? first.counterexample;
  const at = { seed: first.seed, path: counterexamplePath ?? first.counterexamplePath };
  return {
    seed: first.seed,
    runs: first.numRuns,
    failure: { rule: errorMessage(errorInstance), report: describe(at, found, errorInstance) },
  };
}
