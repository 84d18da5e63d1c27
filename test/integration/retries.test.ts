import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  assertCarriesPackets,
  assertSameSas,
  assertSettled,
  CHILD_NAME,
  CommandError,
  diffOf,
  establish,
  eventually,
  type Gateway,
  type GatewayPair,
  IKE_NAME,
  type InstallStep,
  Lab,
  loadSceneTunnel,
  logsDuring,
  type SceneTunnel,
  startGatewayPair,
  statusOf,
} from '../support/index.ts';

const STEPS: readonly InstallStep[] = ['inbound SA', 'outbound SA', 'inbound policy', 'outbound policy'];

/** Who starts the exchange when the gateway that refuses has this role. */
const STARTERS = { initiator: 'ours', responder: 'peer' } as const;

type Starter = (typeof STARTERS)[keyof typeof STARTERS];

/** Longer than the first tries are apart. */
const PATIENCE_MS = 4_000;

/** Longer than the first try takes to come. */
const BRIEF_MS = 1_500;

async function startPair(lab: Lab, tunnel: SceneTunnel = {}): Promise<GatewayPair> {
  const pair = await startGatewayPair(lab);
  await loadSceneTunnel(pair, tunnel);
  return pair;
}

async function assertInitiateFails(pair: GatewayPair, starter: Starter): Promise<void> {
  await assert.rejects(
    pair[starter].swanctl.initiate(CHILD_NAME),
    (error) => error instanceof CommandError && /failed|not established/.test(error.message),
  );
}

/** Nobody does anything, and there is a tunnel that works, and one only. */
async function assertComesUp(pair: GatewayPair, count = 1): Promise<void> {
  await eventually('the CHILD_SA is there', async () => (await pair.ours.swanctl.childSas()).length > 0, {
    timeoutMs: 60_000,
    intervalMs: 200,
  });
  await assertSettled(pair, count);
  await assertCarriesPackets(pair);
  await assertNothingWaits([pair.gateway]);
}

async function assertNothingWaits(gateways: readonly Gateway[]): Promise<void> {
  for (const gateway of gateways) {
    await eventually('nothing waits', async () => (await statusOf(gateway)).setups.length === 0, {
      timeoutMs: 90_000,
      intervalMs: 200,
    });
    assert.deepEqual(await diffOf(gateway), { isInSync: true, entries: [] });
  }
}

async function terminate(pair: GatewayPair): Promise<void> {
  await pair.ours.swanctl.terminate({ ike: IKE_NAME });
  await assertSettled(pair, 0);
}

/** It waits and tells why, with the names of charon's configuration. */
async function assertWaits({ gateway }: GatewayPair, reason: RegExp): Promise<void> {
  const setups = await eventually('it waits', async () => {
    const status = await statusOf(gateway);
    return status.setups.length > 0 ? status.setups : undefined;
  });
  assert.equal(setups.length, 1);
  assert.equal(setups[0]?.ike, IKE_NAME);
  assert.equal(setups[0]?.child, CHILD_NAME);
  assert.match(setups[0]?.reason ?? '', reason);
}

test('a setup refused for a passing reason is repeated by itself, and carries packets', async (t) => {
  await using lab = await Lab.create();
  const pair = await startPair(lab);
  for (const [role, starter] of Object.entries(STARTERS)) {
    for (const step of STEPS) {
      await t.test(`${step}, as ${role}`, async () => {
        const code = step.endsWith('SA') ? 'capacity' : 'temporary';
        await pair.drills.refuse(step, { code, message: `no ${step}`, count: 1 });
        await assertInitiateFails(pair, starter);
        await assertComesUp(pair);
        await pair.drills.clear();
        await terminate(pair);
      });
    }
  }
});

test('a setup that was refused several times is repeated with pauses until it works', async () => {
  await using lab = await Lab.create();
  const pair = await startPair(lab);
  await pair.drills.refuse('inbound SA', { code: 'capacity', message: 'full' });
  await assertInitiateFails(pair, 'ours');
  await assertWaits(pair, /^capacity: full$/);
  await sleep(PATIENCE_MS);
  const { totals } = await statusOf(pair.gateway);
  assert(totals.initiations >= 1 && totals.initiations <= 4, `${totals.initiations} initiations`);
  await assertSettled(pair, 0);
  await pair.drills.clear();
  await assertComesUp(pair);
});

test('a setup refused for good is not repeated', async (t) => {
  await using lab = await Lab.create();
  const pair = await startPair(lab);
  for (const [role, starter] of Object.entries(STARTERS)) {
    await t.test(`as ${role}`, async () => {
      await pair.drills.refuse('outbound SA', { code: 'unsupported_algorithm', message: 'never' });
      await assertInitiateFails(pair, starter);
      await sleep(PATIENCE_MS);
      const status = await statusOf(pair.gateway);
      assert.deepEqual(status.setups, []);
      assert.equal(status.totals.initiations, 0);
      await assertSettled(pair, 0);
      await pair.drills.clear();
    });
  }
});

test('what failed while no agent was there comes up when there is one', async (t) => {
  await using lab = await Lab.create();
  const pair = await startPair(lab);
  for (const [role, starter] of Object.entries(STARTERS)) {
    await t.test(`as ${role}`, async () => {
      await pair.gateway.killAgent();
      await assertInitiateFails(pair, starter);
      await pair.gateway.restartAgent();
      await assertComesUp(pair);
      await terminate(pair);
    });
  }
});

test('what waits outlives its agent, and a dataplane that is away', async (t) => {
  await using lab = await Lab.create();
  const pair = await startPair(lab);
  await t.test('the agent is replaced', async () => {
    await pair.drills.refuse('inbound SA', { code: 'temporary', message: 'busy' });
    await assertInitiateFails(pair, 'ours');
    await assertWaits(pair, /busy/);
    await pair.gateway.killAgent();
    await pair.gateway.restartAgent();
    await assertWaits(pair, /busy/);
    await pair.drills.clear();
    await assertComesUp(pair);
    await terminate(pair);
  });
  await t.test('the dataplane was away', async () => {
    const before = (await statusOf(pair.gateway)).totals.initiations;
    await pair.gateway.killDataplane();
    await assertInitiateFails(pair, 'ours');
    await sleep(PATIENCE_MS);
    assert.equal((await statusOf(pair.gateway)).totals.initiations, before);
    await pair.gateway.restartDataplane();
    await assertComesUp(pair);
  });
});

test('what failed while neither end had an agent comes up, whichever end is the first to have one', async (t) => {
  await using lab = await Lab.create();
  const pair = await startPair(lab);
  for (const [first, second] of [
    [pair.gateway, pair.other],
    [pair.other, pair.gateway],
  ] as const) {
    await t.test(`first ${first.site.name}`, async () => {
      await Promise.all([first.killAgent(), second.killAgent()]);
      await assertInitiateFails(pair, 'ours');
      await first.restartAgent();
      await sleep(BRIEF_MS);
      await second.restartAgent();
      await eventually('it is up', async () => (await pair.ours.swanctl.childSas()).length > 0, {
        timeoutMs: 60_000,
      });
      // Both may have initiated at the same time: then there are two, of which both ends know.
      await assertSameSas(pair.ours, pair.peer);
      await assertCarriesPackets(pair);
      await assertNothingWaits([first, second]);
      await terminate(pair);
    });
  }
});

test('only the one of several CHILD_SAs that was refused is repeated', async () => {
  await using lab = await Lab.create();
  const pair = await startGatewayPair(lab);
  // The gateways' own addresses: configured on both ends alike.
  const hosts = { local_ts: 'dynamic', remote_ts: 'dynamic', esp_proposals: 'aes128gcm16' };
  await establish(pair, { connection: { children: { hosts, idle: hosts } } });
  await pair.drills.refuse('outbound policy', { code: 'capacity', message: 'full', count: 1 });
  await assert.rejects(pair.ours.swanctl.initiate('hosts'));
  await assertSettled(pair, 2);
  const names = (await pair.ours.swanctl.childSas()).map(({ name }) => name);
  assert.deepEqual(names.sort(), ['hosts', CHILD_NAME]);
});

test('IKEv1: setups and rekeyings that were refused are repeated', async (t) => {
  await using lab = await Lab.create();
  const pair = await startPair(lab, { ikeVersion: 1 });
  for (const [role, starter] of Object.entries(STARTERS)) {
    await t.test(`a setup, as ${role}`, async () => {
      await pair.drills.refuse('inbound SA', { code: 'capacity', message: 'full', count: 1 });
      await pair[starter].swanctl.initiate(CHILD_NAME).catch(() => undefined);
      await assertComesUp(pair);
      await pair.drills.clear();
      await terminate(pair);
    });
    await t.test(`a rekeying, as ${role}`, async () => {
      await pair[starter].swanctl.initiate(CHILD_NAME);
      await assertSettled(pair, 1);
      const [before] = await pair.ours.swanctl.childSas();
      await pair.drills.refuse('outbound SA', { code: 'capacity', message: 'full', count: 1 });
      await logsDuring(pair.ours, /failed: capacity: full/, () =>
        pair[starter].swanctl.rekey({ child: CHILD_NAME }),
      );
      await eventually(
        'a new CHILD_SA is in use',
        async () =>
          (await pair.ours.swanctl.childSas()).some(
            ({ state, spiIn }) => state === 'INSTALLED' && spiIn !== before?.spiIn,
          ),
        { timeoutMs: 30_000 },
      );
      await assertCarriesPackets(pair);
      await assertNothingWaits([pair.gateway, pair.other]);
      await pair.drills.clear();
      await terminate(pair);
    });
  }
});

test('a connection for any peer is left to its peer, which is said once', async () => {
  await using lab = await Lab.create();
  const pair = await startPair(lab, { ours: { connection: { remote_addrs: '%any' } } });
  await pair.drills.refuse('inbound SA', { code: 'capacity', message: 'full' });
  await assertInitiateFails(pair, 'peer');
  await sleep(PATIENCE_MS);
  const { setups } = await statusOf(pair.gateway);
  assert.deepEqual(setups, []);
  const log = await readFile(join(pair.ours.site.dir, 'agent.log'), 'utf8');
  assert.equal(log.split('has no address to initiate to').length, 2, log);
  await assertSettled(pair, 0);
});
