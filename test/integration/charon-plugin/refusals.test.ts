import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHILD_NAME, CommandError, eventually, type Tunnel } from '../../support/index.ts';
import { type Answers, OK } from './fake-agent.ts';
import { logged, Rig } from './rig.ts';

const REASON = 'the dataplane said no';

type Step = 'inbound SA' | 'outbound SA' | 'inbound policy' | 'outbound policy';

const STEPS: readonly Step[] = ['inbound SA', 'outbound SA', 'inbound policy', 'outbound policy'];

/** Says no to one step of a setup, while `isArmed` says so. */
function refuse(step: Step, isArmed: () => boolean): Answers {
  return (request) => {
    const asked =
      request.kind === 'add-sa'
        ? `${request.sa.id.direction} SA`
        : request.kind === 'add-policy'
          ? `${request.policy.direction} policy`
          : undefined;
    return asked === step && isArmed() ? { code: 'refused', reason: REASON } : OK;
  };
}

/** Both ends list the same CHILD_SAs, and both agents hold their SAs and nothing else. */
async function assertAgreement(rig: Rig, tunnels: number): Promise<void> {
  await eventually('both ends agree', async () => {
    const [left, right] = await Promise.all([rig.left.swanctl.childSas(), rig.right.swanctl.childSas()]);
    const ends = [
      { listed: left, agent: rig.agent },
      { listed: right, agent: rig.peerAgent },
    ];
    for (const { listed, agent } of ends) {
      const live = listed.filter(({ state }) => state !== 'DELETED');
      assert.equal(live.length, tunnels);
      // the inbound half of what was closed stays for a few seconds
      const closing = listed.filter(({ state }) => state === 'DELETED').map(({ spiIn }) => spiIn);
      const inbound = agent.spis('inbound').filter((spi) => !closing.includes(spi));
      assert.deepEqual(inbound, live.map(({ spiIn }) => spiIn).sort());
      assert.deepEqual(agent.spis('outbound'), live.map(({ spiOut }) => spiOut).sort());
      const outbound = [...agent.policies.values()].filter(({ direction }) => direction === 'outbound');
      assert.deepEqual(outbound.map(({ espSpi }) => espSpi).sort(), live.map(({ spiOut }) => spiOut).sort());
    }
    const cross = (listed: typeof left, near: 'spiIn' | 'spiOut'): number[] =>
      listed.filter(({ state }) => state !== 'DELETED').map((sa) => sa[near]);
    assert.deepEqual(cross(left, 'spiIn').sort(), cross(right, 'spiOut').sort());
    return true;
  });
}

for (const step of STEPS) {
  test(`a refused ${step} fails the first setup as initiator, and nothing of it is left`, async () => {
    await using rig = await Rig.start({ answers: refuse(step, () => true) });
    await assert.rejects(rig.initiate(), (error) => {
      assert(error instanceof CommandError);
      assert.match(error.message, new RegExp(`installing .*failed: ${REASON}`));
      assert.match(error.message, /failed to establish CHILD_SA, keeping IKE_SA/);
      return true;
    });
    await assertAgreement(rig, 0);
  });

  test(`a refused ${step} fails the first setup as responder, and IKE tells the peer`, async () => {
    await using rig = await Rig.start({ answers: refuse(step, () => true) });
    const notify = step.endsWith('SA') ? 'NO_PROPOSAL_CHOSEN' : 'TS_UNACCEPTABLE';
    await assert.rejects(rig.initiate('right'), (error) => {
      assert(error instanceof CommandError);
      assert.match(error.message, new RegExp(`received ${notify} notify, no CHILD_SA built`));
      return true;
    });
    assert.match(await rig.left.log(), new RegExp(`failed: ${REASON}`));
    await assertAgreement(rig, 0);
  });
}

const ROLES = { initiator: 'left', responder: 'right' } as const;

for (const step of STEPS.slice(0, 3)) {
  for (const [role, starter] of Object.entries(ROLES)) {
    test(`a refused ${step} fails a rekeying as ${role}: the old CHILD_SA stays, charon tries again`, async () => {
      let isArmed = false;
      await using rig = await Rig.start({ answers: refuse(step, () => isArmed) });
      await rig.initiate();
      const [before] = await rig.left.swanctl.childSas();
      isArmed = true;
      await rig[starter].swanctl.rekey({ child: CHILD_NAME });
      await logged(rig[starter], /CHILD_SA rekeying failed, trying again in \d+ seconds/);
      assert.match(await rig.left.log(), new RegExp(`failed: ${REASON}`));
      await assertAgreement(rig, 1);
      assert.equal((await rig.left.swanctl.childSas())[0]?.spiIn, before?.spiIn);
    });
  }
}

for (const [role, starter] of Object.entries(ROLES)) {
  test(`a refused outbound policy in a rekeying as ${role} ends the CHILD_SA, and it is created anew`, async () => {
    let refusals = 0;
    await using rig = await Rig.start({ answers: refuse('outbound policy', () => refusals-- > 0) });
    await rig.initiate();
    refusals = 1;
    await rig[starter].swanctl.rekey({ child: CHILD_NAME });
    await logged(rig.left, 'scheduling CHILD_SA recreate after hard expire');
    await logged(rig.left, /CHILD_SA net\{3\} established/);
    await assertAgreement(rig, 1);
  });

  test(`an outbound policy refused for good in a rekeying as ${role} leaves no CHILD_SA behind`, async () => {
    let isArmed = false;
    await using rig = await Rig.start({ answers: refuse('outbound policy', () => isArmed) });
    await rig.initiate();
    isArmed = true;
    await rig[starter].swanctl.rekey({ child: CHILD_NAME });
    await logged(rig.left, 'failed to establish CHILD_SA, keeping IKE_SA');
    await assertAgreement(rig, 0);
  });
}

test('charon retries a refused rekeying by itself, and succeeds when the refusal was a passing one', async () => {
  let isArmed = false;
  await using rig = await Rig.start({ answers: refuse('inbound SA', () => isArmed) });
  await rig.initiate();
  isArmed = true;
  await rig.left.swanctl.rekey({ child: CHILD_NAME });
  await logged(rig.left, 'trying again in');
  isArmed = false;
  await logged(rig.left, 'outbound CHILD_SA net{3} established', 20_000);
  await assertAgreement(rig, 1);
});

test('IKEv1 refuses too, as initiator and as responder', async () => {
  const tunnel: Partial<Tunnel> = { ikeVersion: 1 };
  await using rig = await Rig.start({ tunnel, answers: refuse('outbound SA', () => true) });
  await assert.rejects(rig.initiate());
  await logged(rig.right, 'received NO_PROPOSAL_CHOSEN error notify');
  await assertAgreement(rig, 0);
  // in quick mode the responder installs after the initiator, who is told by a DELETE
  await rig.initiate('right');
  await logged(rig.right, /received DELETE for ESP CHILD_SA/);
  await assertAgreement(rig, 0);
});
