/**
 * A reporter of node:test that fails the run when a file did not tell the outcomes of all its tests, whatever it
 * told before: LAGOPUS_TEST_FILES is how many files there are.
 */
import { relative, resolve } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

// biome-ignore lint/style/noDefaultExport: node takes a reporter from there
export default async function* completeReports(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const begun = new Set<string>();
  const ended = new Set<string>();
  for await (const { type, data } of source) {
    const file = data !== undefined && 'file' in data ? data.file : undefined;
    if (file !== undefined) (type === 'test:summary' ? ended : begun).add(resolve(file));
  }
  const expected = Number(process.env.LAGOPUS_TEST_FILES);
  if (ended.size === expected) return;
  process.exitCode = 1;
  const cut = [...begun].filter((file) => !ended.has(file)).map((file) => relative('', file));
  yield `outcomes of ${ended.size} of ${expected} test files are complete; cut short: ${cut.join(', ') || 'none'}\n`;
}
