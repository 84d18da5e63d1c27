import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertCarriesPackets,
  assertSameSas,
  assertSettled,
  CHILD_NAME,
  CommandError,
  establish,
  type GatewayPair,
  IKE_NAME,
  type InstallStep,
  ikeSas,
  Lab,
  loadSceneTunnel,
  logsDuring,
  rekeyChild,
  type Scene,
  startGatewayPair,
  startScene,
  Traffic,
} from '../support/index.ts';

/** What a dataplane may answer, at each step of an installation. For good: what may pass is tried again. */
const CODES: Readonly<Record<InstallStep, string>> = {
  'inbound SA': 'unsupported_algorithm',
  'outbound SA': 'unsupported_mode',
  'inbound policy': 'invalid',
  'outbound policy': 'unsupported_feature',
};

const STEPS: readonly InstallStep[] = ['inbound SA', 'outbound SA', 'inbound policy', 'outbound policy'];

/** Who starts the exchange when the gateway that refuses has this role. */
const STARTERS = { initiator: 'ours', responder: 'peer' } as const;

type Role = keyof typeof STARTERS;

const ROLES: readonly Role[] = ['initiator', 'responder'];

/** Tells this refusal from every other one in the same log. */
function reasonFor(step: InstallStep, role: Role): string {
  return `no ${step} as ${role}`;
}

type Ends = Pick<Scene, 'ours' | 'peer'>;

/** The one IKE_SA both ends have. */
async function theIkeSa({ ours, peer }: Ends): Promise<string> {
  const [[own, ...others], theirs] = await Promise.all([ikeSas(ours), ikeSas(peer)]);
  assert(own !== undefined && others.length === 0);
  assert.deepEqual(theirs, [own]);
  return own;
}

/** As `swanctl --initiate` fails: with IKE's own words. */
async function assertInitiateFails(ends: Ends, role: Role, words: RegExp): Promise<void> {
  await assert.rejects(ends[STARTERS[role]].swanctl.initiate(CHILD_NAME), (error) => {
    assert(error instanceof CommandError);
    assert.match(error.message, words);
    return true;
  });
}

async function assertRefusedAtFirst(pair: GatewayPair, step: InstallStep, role: Role): Promise<void> {
  const reason = reasonFor(step, role);
  const notify = step.endsWith('SA') ? 'NO_PROPOSAL_CHOSEN' : 'TS_UNACCEPTABLE';
  await pair.drills.refuse(step, { code: CODES[step], message: reason });
  try {
    if (role === 'initiator') {
      await logsDuring(pair.peer, /received DELETE for ESP CHILD_SA/, () =>
        assertInitiateFails(pair, role, new RegExp(`failed: .*${reason}(.|\n)*keeping IKE_SA`)),
      );
    } else {
      await logsDuring(pair.ours, new RegExp(`failed: .*${reason}`), () =>
        assertInitiateFails(pair, role, new RegExp(`received ${notify} notify, no CHILD_SA built`)),
      );
    }
    await assertSettled(pair, 0);
    await theIkeSa(pair);
  } finally {
    await pair.drills.clear();
  }
  await pair[STARTERS[role]].swanctl.initiate(CHILD_NAME);
  await assertSettled(pair, 1);
  await pair.ours.swanctl.terminate({ ike: IKE_NAME });
  await assertSettled(pair, 0);
}

async function assertRefusedInRekey(pair: GatewayPair, step: InstallStep, role: Role): Promise<void> {
  const reason = reasonFor(step, role);
  const before = await pair.ours.swanctl.childSas();
  const ikeSa = await theIkeSa(pair);
  await using traffic = await Traffic.start(pair, { packetsPerSecond: 2_000 });
  await pair.drills.refuse(step, { code: CODES[step], message: reason });
  const starter = pair[STARTERS[role]];
  try {
    await logsDuring(pair.ours, new RegExp(`failed: .*${reason}`), () =>
      logsDuring(starter, /CHILD_SA rekeying failed, trying again/, () =>
        starter.swanctl.rekey({ child: CHILD_NAME }),
      ),
    );
  } finally {
    await pair.drills.clear();
  }
  await assertSettled(pair, 1);
  const [after] = await pair.ours.swanctl.childSas();
  assert.equal(after?.spiIn, before[0]?.spiIn);
  assert.equal(await theIkeSa(pair), ikeSa);
  await rekeyChild(starter, role === 'initiator' ? pair.peer : pair.ours);
  await traffic.flows();
  await traffic.assertComplete();
  await assertSettled(pair, 1);
}

/** charon ends the CHILD_SA of a failed switch by a hard expiry, which has it created anew. */
async function assertFailedSwitchIsRepaired(pair: GatewayPair, role: Role): Promise<void> {
  const reason = reasonFor('outbound policy', role);
  const [before] = await pair.ours.swanctl.childSas();
  const ikeSa = await theIkeSa(pair);
  await pair.drills.refuse('outbound policy', { code: 'internal', message: reason, count: 1 });
  await logsDuring(pair.ours, new RegExp(`failed: .*${reason}`), () =>
    pair[STARTERS[role]].swanctl.rekey({ child: CHILD_NAME }),
  );
  await assertSettled(pair, 1);
  const [after] = await pair.ours.swanctl.childSas();
  assert.notEqual(after?.spiIn, before?.spiIn);
  assert.equal(await theIkeSa(pair), ikeSa);
}

async function assertFailedSwitchLeavesNothing(pair: GatewayPair, role: Role): Promise<void> {
  const starter = pair[STARTERS[role]];
  const ikeSa = await theIkeSa(pair);
  await pair.drills.refuse('outbound policy', { code: 'invalid', message: `never as ${role}` });
  await logsDuring(pair.ours, /keeping IKE_SA/, () => starter.swanctl.rekey({ child: CHILD_NAME }));
  await assertSettled(pair, 0);
  assert.equal(await theIkeSa(pair), ikeSa);
  await pair.drills.clear();
  await starter.swanctl.initiate(CHILD_NAME);
  await assertSettled(pair, 1);
}

test('two gateways, one of whose dataplanes refuses', async (t) => {
  await using lab = await Lab.create();
  const pair = await startGatewayPair(lab);
  await loadSceneTunnel(pair);
  await t.test(
    'at first setup: IKE fails the CHILD_SA, both ends have none, the next works',
    async (group) => {
      for (const role of ROLES) {
        for (const step of STEPS) {
          await group.test(`${step}, as ${role}`, () => assertRefusedAtFirst(pair, step, role));
        }
      }
    },
  );
  await establish(pair);
  await t.test(
    'in a rekey: IKE fails it, the old CHILD_SA loses no packet, the next works',
    async (group) => {
      for (const role of ROLES) {
        for (const step of ['inbound SA', 'outbound SA', 'inbound policy'] as const) {
          await group.test(`${step}, as ${role}`, () => assertRefusedInRekey(pair, step, role));
        }
      }
    },
  );
  await t.test('the outbound policy in a rekey: the CHILD_SA ends on both sides', async (group) => {
    for (const role of ROLES) {
      await group.test(`once, as ${role}: it is created anew by itself`, () =>
        assertFailedSwitchIsRepaired(pair, role),
      );
      await group.test(`for good, as ${role}: it is gone, the next setup works`, () =>
        assertFailedSwitchLeavesNothing(pair, role),
      );
    }
  });
});

/** charon negotiates it, kernel-libipsec does it, our dataplane does not. */
const UNSUPPORTED = 'camellia128-sha256';

test('an algorithm the dataplane does not have: IKE fails the CHILD_SA, with its name in the log', async (t) => {
  await using lab = await Lab.create();
  const scene = await startScene(lab, { peer: 'libipsec' });
  const reason = /installing inbound SA .* failed: unsupported-algorithm: .*CAMELLIA_CBC/;
  await loadSceneTunnel(scene, { esp: UNSUPPORTED, isEncapsulated: true });
  await t.test('as initiator', async () => {
    await logsDuring(scene.ours, reason, () =>
      logsDuring(scene.peer, /received DELETE for ESP CHILD_SA/, () =>
        assertInitiateFails(scene, 'initiator', /keeping IKE_SA/),
      ),
    );
    await assertSameSas(scene.ours, scene.peer, { count: 0 });
    await theIkeSa(scene);
  });
  await t.test('as responder', async () => {
    await logsDuring(scene.ours, reason, () =>
      assertInitiateFails(scene, 'responder', /received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built/),
    );
    await assertSameSas(scene.ours, scene.peer, { count: 0 });
    await theIkeSa(scene);
  });
  await t.test('another one is negotiated when the dataplane has it', async () => {
    await loadSceneTunnel(scene, { esp: 'aes128gcm16', isEncapsulated: true });
    await scene.ours.swanctl.initiate(CHILD_NAME);
    await assertCarriesPackets(scene);
    await assertSameSas(scene.ours, scene.peer, { count: 1 });
  });
});
