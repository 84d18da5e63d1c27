import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fuzzStream, mutate, seededDice } from '../support/vici-fuzz.ts';

/** What charon sends, and what it never should; inputs that once failed are kept here. */
const CORPUS = join(import.meta.dirname, '..', 'fixtures', 'vici', 'corpus');

/** LAGOPUS_FUZZ_MS=600000 for a long run; LAGOPUS_FUZZ_SEED to have one again. */
const FUZZ_MS = Number(process.env.LAGOPUS_FUZZ_MS ?? 3_000);

const corpus = readdirSync(CORPUS)
  .sort()
  .map((name) => ({ name, bytes: readFileSync(join(CORPUS, name)) }));

test(`holds on the ${corpus.length} inputs of the corpus, in chunks of any size`, () => {
  for (const { name, bytes } of corpus) {
    for (let seed = 0; seed < 20; seed += 1) {
      try {
        fuzzStream(bytes, seededDice(seed));
      } catch (error) {
        throw new Error(`corpus/${name}, seed ${seed}`, { cause: error });
      }
    }
  }
});

test('holds on mutations of them, for a bounded time', { timeout: FUZZ_MS + 30_000 }, (context) => {
  const seed = Number(process.env.LAGOPUS_FUZZ_SEED ?? Date.now() % 0x1_0000_0000);
  const dice = seededDice(seed);
  const pick = (): Uint8Array => corpus[dice(corpus.length)]?.bytes ?? new Uint8Array();
  const until = performance.now() + FUZZ_MS;
  let runs = 0;
  for (; performance.now() < until; runs += 1) {
    const input = mutate(pick(), pick(), dice);
    try {
      fuzzStream(input, dice);
    } catch (error) {
      const base64 = Buffer.from(input).toString('base64');
      throw new Error(`LAGOPUS_FUZZ_SEED=${seed}, run ${runs}; keep it in the corpus: ${base64}`, {
        cause: error,
      });
    }
  }
  context.diagnostic(`${runs} inputs, LAGOPUS_FUZZ_SEED=${seed}`);
});
