import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FeedRequest, PluginMessage } from '../../../src/keyfeed/index.ts';
import { CHILD_NAME, CommandError, eventually } from '../../support/index.ts';
import { type Answers, type FakeAgent, OK } from './fake-agent.ts';
import { logged, Rig } from './rig.ts';

const ROLES = { initiator: 'left', responder: 'right' } as const;

function isSwitch(message: PluginMessage): message is FeedRequest {
  return message.kind === 'add-policy' && message.awaited && message.policy.direction === 'outbound';
}

/** Nothing is ever said to an outbound policy. */
const SILENT: Answers = (request) => (isSwitch(request) ? undefined : OK);

/** The agent sends through the only CHILD_SA charon has, and through no other one. */
async function assertSwitched(rig: Rig, agent: FakeAgent): Promise<void> {
  await eventually('the policy of the new CHILD_SA is the only one', async () => {
    const [sa, ...others] = await rig.left.swanctl.childSas();
    assert(sa !== undefined && others.length === 0);
    const outbound = [...agent.policies.values()].filter(({ direction }) => direction === 'outbound');
    assert.deepEqual(
      outbound.map(({ espSpi }) => espSpi),
      [sa.spiOut],
    );
    assert.deepEqual([sa.state, agent.spis('outbound')], ['INSTALLED', [sa.spiOut]]);
    return true;
  });
  assert.doesNotMatch(await rig.left.log(), /recreate after hard expire|unable to install/);
}

for (const [role, starter] of Object.entries(ROLES)) {
  test(`a switch nobody answers in a rekeying as ${role} stays, and is told again behind its undoing`, async () => {
    await using rig = await Rig.start({ plugin: { deadline: 300 }, charon: { delete_rekeyed_delay: 1 } });
    await rig.initiate();
    rig.agent.answers = SILENT;
    const { length } = rig.agent.received;
    await rig[starter].swanctl.rekey({ child: CHILD_NAME });
    await logged(rig.left, /policy .* out waits for an agent: no answer within 300 ms/);
    await assertSwitched(rig, rig.agent);
    const steps = rig.agent.received.slice(length).flatMap((message) => {
      const isOutbound = 'policy' in message && message.policy.direction === 'outbound';
      return isOutbound ? [`${message.kind}${isSwitch(message) ? ' awaited' : ''}`] : [];
    });
    assert.deepEqual(steps, ['add-policy awaited', 'del-policy', 'add-policy', 'del-policy']);
  });

  test(`a switch during which the agent goes away in a rekeying as ${role} is in the next snapshot`, async () => {
    await using rig = await Rig.start({ charon: { delete_rekeyed_delay: 1 } });
    await rig.initiate();
    rig.agent.answers = (request) => {
      if (!isSwitch(request)) return OK;
      void rig.agent[Symbol.asyncDispose]();
      return undefined;
    };
    await rig[starter].swanctl.rekey({ child: CHILD_NAME });
    await logged(rig.left, /policy .* out waits for an agent: the agent is gone/);
    await assertSwitched(rig, await rig.restartAgent());
  });
}

test('at first setup an outbound policy that nobody answers fails the CHILD_SA', async () => {
  await using rig = await Rig.start({ plugin: { deadline: 300 }, answers: SILENT });
  await assert.rejects(rig.initiate(), (error) => {
    assert(error instanceof CommandError);
    assert.match(error.message, /installing policy .* out failed: no answer within 300 ms/);
    return true;
  });
  assert.deepEqual(await rig.left.swanctl.childSas(), []);
});
