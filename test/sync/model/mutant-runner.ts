import { checkModel } from './property.ts';

/** The process that runs a mutant: prints which rule it breaks, or null, as the last line. */
const { runs, failure } = await checkModel({ seed: 1, runs: 1_500, limitMs: 60_000, shrinkMs: 0 });
process.stdout.write(`${JSON.stringify({ runs, rule: failure?.rule ?? null })}\n`);
