import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { eventually, type GatewayPart, inRepository, Lab } from '../../support/index.ts';
import { FaultRig } from './fault-rig.ts';
import { killAndRestart, throughStorm } from './through-storm.ts';

const HOUR_MS = 3_600_000;
/** Less than a step: whoever went by the wall clock would end every SA. */
const LIFE_TIME = '30m';
const PARTS = ['agent', 'dataplane'] as const;

/** The time a process last wrote into its log, by its own clock. */
async function lastLoggedMs({ pair }: FaultRig, part: GatewayPart): Promise<number> {
  const times = (await pair.gateway.processOf(part).log()).matchAll(/"time":"([^"]+)"/g);
  return Date.parse([...times].at(-1)?.[1] ?? '');
}

test('the wall clock of agent and dataplane is stepped by an hour', { timeout: 300_000 }, async (t) => {
  await using lab = await Lab.create();
  const offsetFile = join(lab.dir, 'clock-offset');
  writeFileSync(offsetFile, '0');
  const preload = pathToFileURL(inRepository('test', 'support', 'shifted-clock.ts'));
  const rig = await FaultRig.start(lab, {
    grid: { ikeSas: 2, childrenEach: 20 },
    child: { life_time: LIFE_TIME },
    gateway: {
      logLevel: 'debug',
      extra: { delete_rekeyed_delay: 1 },
      launch: (argv) => [
        'env',
        `NODE_OPTIONS=--import=${preload}`,
        `CLOCK_OFFSET_FILE=${offsetFile}`,
        ...argv,
      ],
    },
  });
  await rig.converged();

  /** Steps it, and sees both processes live in the new time. */
  const step = async (offsetMs: number): Promise<void> => {
    writeFileSync(offsetFile, String(offsetMs));
    for (const part of PARTS) rig.pair.gateway.processOf(part).signal('SIGUSR2');
    await eventually('both log in the new time', async () => {
      const logged = await Promise.all(PARTS.map((part) => lastLoggedMs(rig, part)));
      return logged.every((ms) => Math.abs(ms - offsetMs - Date.now()) < HOUR_MS / 2);
    });
    await sleep(2_000);
  };

  for (const [what, offsetMs] of [
    ['forward', HOUR_MS],
    ['back, two hours at once', -HOUR_MS],
  ] as const) {
    await t.test(`${what}: no packet lost`, async (t) => {
      const { lost } = await throughStorm(t, rig, () => step(offsetMs));
      assert.equal(lost, 0);
    });
  }

  await t.test('back while the dataplane is away: the agent finds the next one', async (t) => {
    await throughStorm(t, rig, async () => {
      const restarted = killAndRestart(rig, ['dataplane']);
      await sleep(500);
      writeFileSync(offsetFile, String(-HOUR_MS));
      rig.pair.gateway.processOf('agent').signal('SIGUSR2');
      await restarted;
    });
  });
});
