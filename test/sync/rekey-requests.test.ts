import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SaId, saKey, toSpi } from '../../src/sad/index.ts';
import { BackgroundTasks } from '../../src/sync/background-tasks.ts';
import type { ChildSaView } from '../../src/sync/index.ts';
import { RekeyRequests } from '../../src/sync/rekey-requests.ts';
import { REKEYING } from '../../src/sync/sync-engine-options.ts';
import { AgentError, silentLogger } from '../../src/util/index.ts';
import { eventually } from '../support/eventually.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakeTunnels } from '../support/fake-tunnels.ts';
import { sampleSa } from '../support/sample-sas.ts';

const MAX_UNDER_WAY = 3;
const PATIENCE_MS = 2_000;

const inboundSpi = (child: number): number => 0x1000 + child;
const outboundSpi = (child: number): number => 0x2000 + child;

function lostSas(child: number): readonly SaId[] {
  return [
    sampleSa({ direction: 'inbound', spi: inboundSpi(child) }).id,
    sampleSa({ direction: 'outbound', spi: outboundSpi(child) }).id,
  ];
}

function view(child: number, state = 'INSTALLED'): ChildSaView {
  return {
    name: 'net',
    childId: String(child),
    ikeId: '1',
    state,
    protocol: 'esp',
    inboundSpi: toSpi(inboundSpi(child)),
    outboundSpi: toSpi(outboundSpi(child)),
  };
}

class RekeyLab implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly tunnels = new FakeTunnels();
  readonly #tasks = new BackgroundTasks();
  readonly requests = new RekeyRequests({
    tunnels: this.tunnels,
    clock: this.clock,
    tasks: this.#tasks,
    logger: silentLogger,
    ...REKEYING,
    slots: { count: MAX_UNDER_WAY, patienceMs: PATIENCE_MS },
  });

  /** Both SAs of CHILD_SAs 1 .. count are lost. */
  lose(count: number): void {
    const children = Array.from({ length: count }, (_, index) => index + 1);
    this.tunnels.children = children.map((child) => view(child));
    this.requests.setLost(children.flatMap(lostSas));
  }

  /** charon uses a new CHILD_SA and has deleted the old outbound SA. */
  replace(child: number): void {
    this.requests.drop(saKey(sampleSa({ direction: 'outbound', spi: outboundSpi(child) }).id));
  }

  async asked(children: readonly string[], delayMs: number): Promise<void> {
    await this.clock.advance(delayMs);
    await eventually(`asked for ${children}`, () => this.tunnels.rekeyed.length >= children.length);
    assert.deepEqual(this.tunnels.rekeyed, children);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#tasks[Symbol.asyncDispose]();
  }
}

test('asks for a few rekeys at once, and for the next when one is done', async () => {
  await using lab = new RekeyLab();
  lab.lose(6);
  await lab.asked(['1', '2', '3'], 1);
  await lab.asked(['1', '2', '3'], 500);
  lab.replace(2);
  await lab.asked(['1', '2', '3', '4'], 10);
  lab.replace(1);
  lab.replace(3);
  await lab.asked(['1', '2', '3', '4', '5', '6'], 10);
});

test('rekeys that do not end do not keep the others waiting', async () => {
  await using lab = new RekeyLab();
  lab.lose(5);
  await lab.asked(['1', '2', '3'], 1);
  await lab.clock.advance(PATIENCE_MS);
  await lab.asked(['1', '2', '3', '4', '5'], 5);
});

test('looks at a CHILD_SA that charon is busy with again soon', async () => {
  await using lab = new RekeyLab();
  lab.lose(1);
  lab.tunnels.children = [view(1, 'REKEYING')];
  await lab.clock.advance(1);
  await eventually('it was listed', () => lab.tunnels.listings === 1);
  lab.tunnels.children = [view(1)];
  await lab.asked(['1'], 500);
  await lab.asked(['1'], 4_000);
});

test('one that charon was busy with is asked for before all the others are', async () => {
  await using lab = new RekeyLab();
  const last = 200;
  lab.lose(last);
  const children = lab.tunnels.children;
  lab.tunnels.children = [view(1, 'REKEYING'), ...children.slice(1)];
  await lab.clock.advance(1);
  await eventually('it was listed', () => lab.tunnels.listings === 1);
  lab.tunnels.children = children;
  for (let waited = 0; !lab.tunnels.rekeyed.includes('1') && waited < 400; waited += 1) {
    for (const child of lab.tunnels.rekeyed) lab.replace(Number(child));
    await lab.clock.advance(10);
  }
  const place = lab.tunnels.rekeyed.indexOf('1');
  assert(place > 0 && place < last - 1, String(place));
});

test('one that charon refuses keeps no other waiting', async () => {
  await using lab = new RekeyLab();
  const { rekeyChildSa } = lab.tunnels;
  Object.assign(lab.tunnels, {
    rekeyChildSa: async (child: ChildSaView) => {
      await rekeyChildSa(child);
      throw new AgentError('not now', { code: 'refused', retryable: true });
    },
  });
  lab.lose(5);
  await lab.asked(['1', '2', '3', '4', '5'], 1);
});

test('one that was replaced while it waited is not asked for', async () => {
  await using lab = new RekeyLab();
  lab.lose(5);
  await lab.asked(['1', '2', '3'], 1);
  for (let child = 1; child <= 5; child += 1) for (const id of lostSas(child)) lab.requests.drop(saKey(id));
  await lab.asked(['1', '2', '3'], 60_000);
});
