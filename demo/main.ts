/**
 * npm run demo: tells the story (story.ts) in a process of its own and, however that one ended, sees
 * to it that nothing is left of it.
 *
 *     main ── signals ──► story ── starts ──► charons, agent, dataplane, packet counters
 *      └── once story and its commands have ended: removes its namespaces and files
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { join } from 'node:path';
import { eventually, sweepLabs } from '../test/support/index.ts';
import { readOptions } from './options.ts';

const FAILED = 1;
const INVALID_INPUT = 2;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if ('usage' in options) {
    process.stdout.write(`${options.usage}\n`);
    return options.isAsked ? 0 : INVALID_INPUT;
  }
  if (process.getuid?.() !== 0) {
    process.stdout.write('demo: failed: it makes network namespaces and needs root: sudo npm run demo\n');
    return FAILED;
  }
  // A session of its own: Ctrl-C reaches it once, from here, and not every command it is running.
  const story = spawn(
    'setpriv',
    ['--pdeathsig', 'TERM', process.execPath, join(import.meta.dirname, 'story.ts'), ...args],
    { stdio: ['ignore', 'inherit', 'inherit'], detached: true },
  );
  let interruption: NodeJS.Signals | undefined;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (interruption === undefined) story.kill(signal);
      interruption ??= signal;
    });
  }
  await once(story, 'exit');
  const { pid } = story;
  if (pid !== undefined) await removeEverythingOf(pid);
  if (interruption !== undefined) {
    process.stdout.write('demo: interrupted; everything it made is removed\n');
    return 128 + constants.signals[interruption];
  }
  if (story.signalCode !== null) process.stdout.write(`demo: failed: ended by ${story.signalCode}\n`);
  return story.exitCode ?? FAILED;
}

async function removeEverythingOf(pid: number): Promise<void> {
  // A short command that was under way may finish: half an `ip netns add` is harder to take back.
  await eventually('its last commands have ended', () => !signalGroup(pid, 0), { timeoutMs: 3_000 }).catch(
    () => signalGroup(pid, 'SIGKILL'),
  );
  await sweepLabs((owner) => owner !== pid);
}

/** Whether there was anybody to signal. */
function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-leader, signal);
  } catch {
    return false;
  }
}

process.exitCode = await main(process.argv.slice(2));
