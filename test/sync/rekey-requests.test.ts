import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SaId, saKey, toSpi } from '../../src/sad/index.ts';
import { BackgroundTasks } from '../../src/sync/background-tasks.ts';
import type { ChildSaView } from '../../src/sync/index.ts';
import { RekeyRequests } from '../../src/sync/rekey-requests.ts';
import { AgentError, silentLogger } from '../../src/util/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakeTunnels } from '../support/fake-tunnels.ts';
import { sampleSa } from '../support/sample-sas.ts';

const SLOTS = { count: 2, patienceMs: 1_000 };
const BACK_OFF = { firstMs: 5_000, maxMs: 60_000 };

type Pair = { readonly child: ChildSaView; readonly inbound: SaId; readonly outbound: SaId };

function pair(number: number): Pair {
  const spiIn = 0x1000 + number;
  const spiOut = 0x2000 + number;
  return {
    child: {
      name: 'net',
      childId: String(number),
      ikeId: '1',
      state: 'INSTALLED',
      protocol: 'esp',
      inboundSpi: toSpi(spiIn),
      outboundSpi: toSpi(spiOut),
    },
    inbound: sampleSa({ direction: 'inbound', spi: spiIn }).id,
    outbound: sampleSa({ direction: 'outbound', spi: spiOut }).id,
  };
}

/** Five CHILD_SAs, both SAs of each lost. */
class RekeyLab implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly tunnels = new FakeTunnels();
  readonly tasks = new BackgroundTasks();
  readonly pairs = [1, 2, 3, 4, 5].map(pair);
  readonly requests = new RekeyRequests({
    tunnels: this.tunnels,
    clock: this.clock,
    tasks: this.tasks,
    logger: silentLogger,
    backOff: BACK_OFF,
    slots: SLOTS,
  });

  constructor() {
    this.tunnels.children = this.pairs.map(({ child }) => child);
    this.requests.setLost(this.pairs.flatMap(({ inbound, outbound }) => [inbound, outbound]));
  }

  /** What charon was asked for after so much time. */
  async asked(delayMs: number): Promise<readonly string[]> {
    await this.clock.advance(delayMs);
    return this.tunnels.rekeyed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.tasks[Symbol.asyncDispose]();
  }
}

test('charon has a few rekeys on its hands at once, each for both SAs; one that is done makes room', async () => {
  await using lab = new RekeyLab();
  assert.deepEqual(await lab.asked(0), ['1', '2']);
  assert.deepEqual(await lab.asked(500), ['1', '2']);
  // The old outbound SA goes first, the inbound one some seconds later.
  const [first] = lab.pairs;
  assert(first !== undefined);
  lab.requests.drop(saKey(first.outbound));
  assert.deepEqual(await lab.asked(0), ['1', '2', '3']);
  lab.requests.drop(saKey(first.inbound));
  assert.deepEqual(await lab.asked(0), ['1', '2', '3']);
});

test('a rekey that takes too long holds up no other', async () => {
  await using lab = new RekeyLab();
  await lab.asked(0);
  assert.deepEqual(await lab.asked(SLOTS.patienceMs), ['1', '2', '3', '4']);
  assert.deepEqual(await lab.asked(SLOTS.patienceMs), ['1', '2', '3', '4', '5']);
  // Nothing came of the first ones: they are asked for again, after their back-off.
  assert.deepEqual((await lab.asked(BACK_OFF.firstMs)).slice(5, 7), ['1', '2']);
});

test('one that charon refuses holds up no other', async () => {
  await using lab = new RekeyLab();
  const { rekeyChildSa } = lab.tunnels;
  Object.assign(lab.tunnels, {
    rekeyChildSa: async (child: ChildSaView) => {
      await rekeyChildSa(child);
      if (Number(child.childId) < 5) throw new AgentError('busy', { code: 'refused', retryable: true });
    },
  });
  assert.deepEqual(await lab.asked(0), ['1', '2', '3', '4', '5']);
});

test('one that was replaced while it waited is not asked for', async () => {
  await using lab = new RekeyLab();
  await lab.asked(0);
  for (const { inbound, outbound } of lab.pairs) {
    lab.requests.drop(saKey(outbound));
    lab.requests.drop(saKey(inbound));
  }
  assert.deepEqual(await lab.asked(60_000), ['1', '2']);
});
