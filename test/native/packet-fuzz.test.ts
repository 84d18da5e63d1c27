import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { inRepository } from '../support/index.ts';
import { SanitizedTool } from './sanitized-tool.ts';

/** The engine, which knows nothing of Node but libuv's headers: packet-fuzz.c has the functions it needs. */
function engineSources(): readonly string[] {
  const folder = inRepository('native');
  return readdirSync(folder).filter(
    (name) =>
      name.endsWith('.c') && !/"binding\.h"|<node_api\.h>/.test(readFileSync(`${folder}/${name}`, 'utf8')),
  );
}

test('packets that are whole, replayed, forged, cut, too long or nonsense are what they have to be', (t) => {
  const tool = new SanitizedTool('packet-fuzz', engineSources(), [
    // Behind the system's own: of Node's headers only libuv's are wanted.
    ...['-idirafter', resolve(realpathSync(process.execPath), '../../include/node')],
    '-Wl,--wrap=transform_check_icv,--wrap=transform_open',
  ]);
  const seed = String(randomInt(2 ** 31));
  t.diagnostic(`seed ${seed}`);
  const output = tool.runText([seed, '10000']);
  t.diagnostic(output.trim());
  const counts = new Map([...output.matchAll(/(\d+) ([a-z ]+)/g)].map(([, n, what]) => [what, Number(n)]));
  // 22 AEADs by key length, 8 ciphers by key length with each of 6 MACs, 9 MACs of AH.
  assert.equal(counts.get('suites'), 79);
  for (const kind of ['round trips', 'replayed', 'forged', 'cut', 'nonsense', 'unverified', 'fragments'])
    assert.ok((counts.get(kind) ?? 0) > 100, `${kind}: ${output}`);
});
