import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ViciClient } from '../../src/vici/index.ts';
import { CharonDaemon, findProcess, Lab, residentKib } from '../support/index.ts';

const UNREAD_MS = 10_000;
const EVENTS = 10_000;
/** Unread events would be megabytes in charon, which buffers without a limit; an allocator's arena is less. */
const GROWTH_KIB = 1_024;

test('a consumer that does not read for 10 s, while 10,000 events come, gets a gap, and charon keeps none of them', async () => {
  await using lab = await Lab.create();
  const { left } = await lab.pair();
  const { namespace, dir } = left;
  const charon = lab.use(await CharonDaemon.start({ namespace, dir, backend: 'libipsec' }));
  const pid = await findProcess(namespace, 'charon');
  await using vici = new ViciClient({ uri: charon.viciUri });
  await using subscription = await vici.subscribe(['log']);
  const events = subscription[Symbol.asyncIterator]();
  const startedMs = performance.now();

  // Each of these is worth at least one line of charon's log.
  const refused = async (): Promise<void> => {
    assert.equal((await vici.initiate({ child: 'nothing' })).kind, 'failed');
  };
  for (let count = 0; count < 500; count += 1) await refused();
  const before = residentKib(pid);
  for (let count = 500; count < EVENTS; count += 1) await refused();
  await sleep(Math.max(0, UNREAD_MS - (performance.now() - startedMs)));
  const grownKib = residentKib(pid) - before;

  let read = 0;
  let lost = 0;
  while (read + lost < EVENTS) {
    const { value, done } = await events.next();
    assert.ok(done !== true);
    if (value.kind === 'gap') lost += value.lost ?? 0;
    else read += 1;
  }
  assert.ok(lost > 0, 'some were lost, and it is said how many');
  assert.ok(read > 0, 'those that came last are there');
  assert.ok(grownKib < GROWTH_KIB, `charon grew by ${grownKib} KiB`);
});
