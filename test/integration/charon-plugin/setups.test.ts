import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SetupFailed } from '../../../src/keyfeed/index.ts';
import { CHILD_NAME, eventually, IKE_NAME, type Tunnel } from '../../support/index.ts';
import { type Answer, type Answers, FakeAgent, OK } from './fake-agent.ts';
import { logged, Rig } from './rig.ts';

type Step = 'inbound SA' | 'outbound SA' | 'inbound policy' | 'outbound policy';

const STEPS: readonly Step[] = ['inbound SA', 'outbound SA', 'inbound policy', 'outbound policy'];

const FULL: Answer = { code: 'try-again', reason: 'full' };

/** Answers one step of every setup so; undefined: it is accepted. */
type Script = { step: Step; answer: Answer | undefined };

function scripted(script: Script): Answers {
  return (request) => {
    const asked =
      request.kind === 'add-sa'
        ? `${request.sa.id.direction} SA`
        : request.kind === 'add-policy'
          ? `${request.policy.direction} policy`
          : undefined;
    return (asked === script.step ? script.answer : undefined) ?? OK;
  };
}

/** Waits for a line that is not in the left charon's log yet. */
async function loggedAnew(rig: Rig, text: string, act: () => Promise<unknown>): Promise<void> {
  const count = async (): Promise<number> => (await rig.left.log()).split(text).length;
  const before = await count();
  await act();
  await eventually(`"${text}" once more`, async () => (await count()) > before);
}

async function dismissAgent(rig: Rig): Promise<void> {
  await loggedAnew(rig, 'closing connection to agent: closed by agent', () => rig.killAgent());
}

/** In the place of the one before, if there is one; it asks for failed setups. */
async function listeningAgent(rig: Rig, answers: Answers = () => OK): Promise<FakeAgent> {
  // With READY, what comes behind the snapshot has left charon.
  await loggedAnew(rig, 'agent is ready', async () => {
    rig.agent = rig.lab.use(await FakeAgent.start(rig.left.pluginSocket, answers, { wantsFailures: true }));
  });
  return rig.agent;
}

function failures({ received }: FakeAgent): readonly SetupFailed[] {
  return received.filter((message) => message.kind === 'setup-failed');
}

const failed = (changes: Partial<SetupFailed> = {}): SetupFailed => ({
  kind: 'setup-failed',
  ike: IKE_NAME,
  child: CHILD_NAME,
  code: 'try-again',
  reason: 'full',
  ...changes,
});

for (const ikeVersion of [2, 1] as const) {
  test(`IKEv${ikeVersion}: names the CHILD_SA of every step that fails, in both roles`, async () => {
    const script: Script = { step: 'inbound SA', answer: FULL };
    // A second child, whose selectors contain those of the first.
    const wide = { local_ts: '0.0.0.0/0', remote_ts: '0.0.0.0/0', esp_proposals: 'aes128gcm16' };
    const tunnel: Partial<Tunnel> = { ikeVersion, connection: { children: { wide } } };
    await using rig = await Rig.start({ tunnel });
    await dismissAgent(rig);
    const agent = await listeningAgent(rig, scripted(script));
    for (const starter of ['left', 'right'] as const) {
      for (const step of STEPS) {
        script.step = step;
        agent.received.length = 0;
        await rig.initiate(starter).catch(() => undefined);
        const found = await eventually(`${step} from ${starter}`, () => {
          const all = failures(agent);
          return all.length > 0 ? all : undefined;
        });
        assert.deepEqual(found, [failed()], `${step} from ${starter}`);
        await eventually('nothing is left', async () => (await rig.left.swanctl.childSas()).length === 0);
      }
    }
  });
}

test('an agent that did not ask is not told', async () => {
  await using rig = await Rig.start({ answers: scripted({ step: 'inbound SA', answer: FULL }) });
  await assert.rejects(rig.initiate());
  await assert.rejects(rig.initiate());
  assert.deepEqual(failures(rig.agent), []);
});

test('a refusal for good is told as one, and forgotten', async () => {
  await using rig = await Rig.start();
  const answer: Answer = { code: 'refused', reason: 'never' };
  await dismissAgent(rig);
  const agent = await listeningAgent(rig, scripted({ step: 'outbound SA', answer }));
  await assert.rejects(rig.initiate());
  await eventually('it is told', () => failures(agent).length > 0);
  assert.deepEqual(failures(agent), [failed({ code: 'refused', reason: 'never' })]);
  await dismissAgent(rig);
  assert.deepEqual(failures(await listeningAgent(rig)), []);
});

test('what failed without an agent is told to every one that comes, until it is set up', async () => {
  await using rig = await Rig.start();
  await dismissAgent(rig);
  await assert.rejects(rig.initiate());
  const first = await listeningAgent(rig);
  const told = await eventually('it is told', () => failures(first)[0]);
  assert.deepEqual(told, failed({ reason: 'no agent is ready' }));
  const order = first.received.map(({ kind }) => kind);
  assert(order.indexOf('setup-failed') > order.indexOf('snapshot-end'), order.join(' '));
  await dismissAgent(rig);
  const second = await listeningAgent(rig);
  await eventually('so is the next', () => failures(second).length === 1);
  await rig.initiate();
  assert.equal(failures(second).length, 1);
  await dismissAgent(rig);
  assert.deepEqual(failures(await listeningAgent(rig)), []);
});

test('a setup that fails at a later step than the one before is not forgotten', async () => {
  const script: Script = { step: 'inbound SA', answer: FULL };
  await using rig = await Rig.start();
  await dismissAgent(rig);
  await listeningAgent(rig, scripted(script));
  await assert.rejects(rig.initiate());
  script.step = 'outbound policy';
  await assert.rejects(rig.initiate());
  await dismissAgent(rig);
  const next = await listeningAgent(rig);
  await eventually('it is told', () => failures(next).length === 1);
});

test('a rekeying in IKEv2, which charon repeats itself, is not told', async () => {
  const script: Script = { step: 'inbound SA', answer: undefined };
  await using rig = await Rig.start();
  await dismissAgent(rig);
  const agent = await listeningAgent(rig, scripted(script));
  await rig.initiate();
  script.answer = FULL;
  await rig.left.swanctl.rekey({ child: CHILD_NAME });
  await logged(rig.left, /CHILD_SA rekeying failed, trying again in \d+ seconds/);
  assert.deepEqual(failures(agent), []);
});
