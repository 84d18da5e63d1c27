import assert from 'node:assert/strict';
import { mkdir, readFile, statfs, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Argv, eventually, Lab } from '../../support/index.ts';
import { FaultRig } from './fault-rig.ts';
import { killAndRestart, throughStorm } from './through-storm.ts';

const DISK_BYTES = 65_536;
const PARTS = ['agent', 'dataplane'] as const;

/**
 * Gives a process's log a tiny disk of its own, in the mount namespace that `ip netns exec` makes and
 * that goes with the process.
 */
function onTinyDisk(dir: string, argv: Argv): Argv {
  const script = `mount -t tmpfs -o size=${DISK_BYTES} tmpfs "$0"; exec "$@" 2>>"$0/log"`;
  return ['sh', '-ec', script, dir, ...argv];
}

test('the disk that agent and dataplane log to is full', { timeout: 300_000 }, async (t) => {
  await using lab = await Lab.create();
  const dir = join(lab.dir, 'tiny');
  await mkdir(dir);
  const rig = await FaultRig.start(lab, {
    grid: { ikeSas: 2, childrenEach: 20 },
    gateway: { logLevel: 'debug', launch: (argv) => onTinyDisk(dir, argv) },
  });
  await rig.converged();
  const diskOf = (part: (typeof PARTS)[number]): string =>
    join('/proc', String(rig.pair.gateway.processOf(part).pid), 'root', dir);
  /** The storm's requests are logged: that fills it. */
  const untilFull = (): Promise<unknown> =>
    eventually('both disks are full', async () => {
      const disks = await Promise.all(PARTS.map((part) => statfs(diskOf(part))));
      return disks.every(({ bfree }) => bfree === 0);
    });

  await t.test('while packets flow and tunnels are rekeyed: no packet lost', async (t) => {
    const { lost } = await throughStorm(t, rig, async () => {
      await untilFull();
    });
    assert.equal(lost, 0);
  });

  await t.test('and the agent is killed: the next one finds everything as it was', async (t) => {
    const { lost } = await throughStorm(t, rig, () => killAndRestart(rig, ['agent']));
    assert.equal(lost, 0);
  });

  await t.test('what was not logged is told of when there is room again', async () => {
    await untilFull();
    for (const part of PARTS) {
      await truncate(join(diskOf(part), 'log'));
    }
    await rig.pair.ours.swanctl.rekey({ child: 'net0' });
    for (const part of PARTS) {
      await eventually(`${part} tells of lost lines`, async () =>
        (await readFile(join(diskOf(part), 'log'), 'utf8')).includes('log lines could not be written'),
      );
    }
    await rig.converged();
  });
});
