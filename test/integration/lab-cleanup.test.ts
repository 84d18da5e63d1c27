import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { command, eventually, inRepository, Lab, ManagedProcess, TempDir } from '../support/index.ts';

/** A process of its own that has built a lab with a daemon in it and would use it for a minute. */
const VICTIM = `
  import { CharonDaemon, Lab } from '${inRepository('test', 'support', 'index.ts')}';
  await using lab = await Lab.create();
  const { left } = await lab.pair();
  const charon = await CharonDaemon.start({ namespace: left.namespace, dir: left.dir, backend: 'libipsec' });
  lab.use(charon);
  console.log(charon.process.pid);
  await new Promise((resolve) => setTimeout(resolve, 60_000));
`;

type Victim = { readonly process: ManagedProcess; readonly charonPid: number };

async function startVictim(dir: TempDir): Promise<Victim> {
  const lines: string[] = [];
  const victim = new ManagedProcess({
    name: 'victim',
    argv: [process.execPath, '--input-type=module-typescript', '--eval', VICTIM],
    logPath: join(dir.path, 'victim.log'),
    onLine: (line) => lines.push(line),
  });
  return { process: victim, charonPid: Number(await victim.waitFor('its charon runs', () => lines.at(0))) };
}

async function leftOvers(victim: Victim): Promise<string[]> {
  const { pid } = victim.process;
  const { stdout } = await command(['ip', 'netns', 'list']);
  return [
    ...stdout.split('\n').filter((line) => line.startsWith(`lgp-${pid}-`)),
    ...readdirSync(tmpdir()).filter((name) => name.startsWith(`lagopus-${pid}-`)),
    ...(existsSync(`/proc/${victim.charonPid}`) ? ['charon'] : []),
  ];
}

test('an interrupted test leaves no process, namespace or file', async () => {
  await using dir = new TempDir();
  const victim = await startVictim(dir);
  await using _ = victim.process;
  assert.equal((await leftOvers(victim)).length, 4);
  victim.process.signal('SIGINT');
  assert.equal((await victim.process.exited).code, 130);
  await eventually('nothing is left', async () => (await leftOvers(victim)).length === 0);
});

test('a killed test leaves no process, and the next lab removes the rest', async () => {
  await using dir = new TempDir();
  const victim = await startVictim(dir);
  await using _ = victim.process;
  victim.process.signal('SIGKILL');
  await victim.process.exited;
  await eventually('its charon is gone', () => !existsSync(`/proc/${victim.charonPid}`));
  await using lab = await Lab.create();
  assert.notEqual(lab.dir, '');
  assert.deepEqual(await leftOvers(victim), []);
});
