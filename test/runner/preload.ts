/**
 * Loaded into each test file's process (`--import`).
 *
 * Ends it when all its tests have an outcome and something, such as a test that ran into its time-out, still keeps
 * it alive; in place of `--test-force-exit`, which ends it at once and loses outcomes that are still on their way
 * to the runner, without a word: they are then missing from its figures.
 */
import { after } from 'node:test';
import { TRIES_FACTOR, tries } from '../support/tries.ts';

const PATIENCE_MS = 10_000;
const REPORT_MS = 1_000;

/** What fast-check does where a property does not say. */
const USUAL_TRIES = 100;

if (process.env.NODE_TEST_CONTEXT !== undefined) {
  if (TRIES_FACTOR !== 1) (await import('fast-check')).default.configureGlobal(tries(USUAL_TRIES));
  after(() => {
    setTimeout(() => {
      const busy = [...new Set(process.getActiveResourcesInfo())].join(', ');
      console.error(`${process.argv[1]}: ended ${PATIENCE_MS} ms after its last test; still busy: ${busy}`);
      // node:test sums up at this event, which an idle process has by itself.
      process.emit('beforeExit', 0);
      setTimeout(() => process.exit(), REPORT_MS);
    }, PATIENCE_MS).unref();
  });
}
