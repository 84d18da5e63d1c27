import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { command, inRepository, TempDir } from '../support/index.ts';

const SOURCES = ['reader', 'writer'].map((part) =>
  inRepository('charon-plugin', 'src', `kernel_lagopus_${part}.c`),
);

/** strongSwan's sources, as the plugin's build left them. */
function strongswan(): string {
  const folder = readdirSync(inRepository('build', 'charon-plugin')).find((name) =>
    /^strongswan-\d/.test(name),
  );
  assert(folder !== undefined, 'run scripts/build-charon-plugin.sh');
  return inRepository('build', 'charon-plugin', folder);
}

test('the reader neither reads nor writes where it must not, whatever the agent sends', async (t) => {
  await using dir = new TempDir();
  const program = `${dir.path}/reader-fuzz`;
  const source = strongswan();
  await command([
    ...(['gcc', '-O1', '-g', '-std=gnu11', '-fsanitize=address,undefined'] as const),
    ...(['-fno-sanitize-recover=all', '-D_GNU_SOURCE', '-include', `${source}/config.h`] as const),
    ...(['-isystem', `${source}/src/libstrongswan`, `-I${inRepository('charon-plugin', 'src')}`] as const),
    ...(['-o', program, inRepository('test', 'charon-plugin', 'reader-fuzz.c'), ...SOURCES] as const),
    ...(['/usr/lib/ipsec/libstrongswan.so.0', '-Wl,-rpath,/usr/lib/ipsec'] as const),
  ]);
  const seed = String(Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`seed ${seed}`);
  // strongSwan allocates a few things for good
  const { stdout } = await command(['env', 'ASAN_OPTIONS=detect_leaks=0', program, seed, '3000']);
  const [, accepted, refused] = /^(\d+) accepted, (\d+) refused$/m.exec(stdout) ?? [];
  assert(Number(accepted) > 1_000 && Number(refused) > 100_000, stdout);
});
