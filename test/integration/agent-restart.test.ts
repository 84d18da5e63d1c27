import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PluginMessage } from '../../src/keyfeed/index.ts';
import { Direction } from '../../src/proto/index.ts';
import { ContractClient } from '../dataplane/contract-client.ts';
import {
  assertSettled,
  CHILD_NAME,
  CommandError,
  command,
  establish,
  type GatewayPair,
  IKE_NAME,
  ikeSas,
  inRepository,
  Lab,
  loadSceneTunnel,
  logsDuring,
  rekeyChild,
  replacingChildSa,
  type Settings,
  startGatewayPair,
  startRelayedPair,
  statusOf,
  Traffic,
  tunnelEnd,
  tunnelSettings,
} from '../support/index.ts';

const PACKETS_PER_SECOND = 2_000;

/** Grows with every change of the dataplane's SAD or SPD. */
async function revisionOf({ gateway }: GatewayPair): Promise<bigint> {
  using client = new ContractClient(gateway.dataplane.target);
  return await client.revision();
}

/** SPIs of the inbound SAs our dataplane holds; asked without the agent. */
async function inboundSpis({ gateway }: GatewayPair): Promise<readonly number[]> {
  using client = new ContractClient(gateway.dataplane.target);
  const sas = await client.sas();
  return sas.flatMap(({ sa }) => (sa?.id?.direction === Direction.DIRECTION_INBOUND ? [sa.id.spi] : []));
}

async function assertKillsMoveNothing(pair: GatewayPair): Promise<void> {
  await establish(pair);
  await using traffic = await Traffic.start(pair, { packetsPerSecond: PACKETS_PER_SECOND });
  const before = await revisionOf(pair);
  for (let round = 0; round < 2; round += 1) {
    await traffic.flows();
    await pair.gateway.killAgent();
    await traffic.flows(PACKETS_PER_SECOND);
    await pair.gateway.restartAgent();
    const { totals } = await statusOf(pair.gateway);
    assert.deepEqual([totals.operations, totals.unknown], [0, 0]);
    // exit status 0: nothing differs
    await command([inRepository('bin', 'ipsec-agent'), 'diff', '--socket', pair.gateway.agent.controlSocket]);
  }
  assert.equal(await revisionOf(pair), before);
  await traffic.flows();
  await traffic.assertComplete();
  await assertSettled(pair, 1);
}

async function assertRekeyWaits(pair: GatewayPair): Promise<void> {
  const { gateway, ours, peer } = pair;
  await establish(pair, { ours: { child: { rekey_time: '6s', rand_time: 0, life_time: '60s' } } });
  await using traffic = await Traffic.start(pair, { packetsPerSecond: PACKETS_PER_SECOND });
  await traffic.flows();
  await replacingChildSa([ours, peer], async () => {
    await logsDuring(ours, /holding back rekeying of SA/, () => gateway.killAgent());
    await sleep(3_000);
    await traffic.flows();
    await gateway.restartAgent();
  });
  await traffic.flows();
  await traffic.assertComplete();
  assert.doesNotMatch(await ours.charonLog(), /rekeying failed|unable to install/);
  await assertSettled(pair, 1);
}

/** Our end with a second connection, to a part of the same net; with the same settings it would share the IKE_SA. */
function withSecondTunnel(pair: GatewayPair): Settings {
  const ends = { left: tunnelEnd(pair.ours.site), right: tunnelEnd(pair.peer.site) };
  const { connections, ...rest } = tunnelSettings({ ...ends, connection: { unique: 'never' } }, 'left');
  const { gw } = connections as { gw: Settings };
  const { children } = gw as { children: { net: Settings } };
  const second = {
    ...gw,
    dpd_delay: '1h',
    children: { 'net-2': { ...children.net, remote_ts: '198.19.2.128/25' } },
  };
  return { ...rest, connections: { gw, second } };
}

/** Initiates the second tunnel's CHILD_SA, which fails with these words, and gives all of IKE's. */
async function failsToInitiate({ ours }: GatewayPair, words: RegExp): Promise<string> {
  try {
    await ours.swanctl.initiate('net-2');
  } catch (error) {
    assert(error instanceof CommandError);
    assert.match(error.message, words);
    return error.message;
  }
  return assert.fail('the setup succeeded');
}

async function assertFreezeCostsOneDeadline(pair: GatewayPair): Promise<void> {
  const { gateway, ours, peer } = pair;
  await establish(pair, { connection: { unique: 'never' }, peer: { connection: { dpd_delay: '1s' } } });
  await ours.swanctl.load(withSecondTunnel(pair));
  gateway.agent.process.signal('SIGSTOP');
  await logsDuring(peer, /sending DPD request(.|\n)*parsed INFORMATIONAL response/, async () => {
    await failsToInitiate(pair, /no answer within \d+ ms(.|\n)*keeping IKE_SA/);
    const second = await failsToInitiate(pair, /failed: the agent does not answer(.|\n)*keeping IKE_SA/);
    assert.doesNotMatch(second, /no answer within/);
  });
  assert.doesNotMatch(await peer.charonLog(), /retransmit/);
  gateway.agent.process.signal('SIGCONT');
  // Initiated again by the agent; here it would be a second one.
  await assertSettled(pair, 2);
}

const OUTAGES: Readonly<Record<string, (pair: GatewayPair) => Promise<void>>> = {
  'killed under traffic: no packet lost, the next agent sends the dataplane nothing': assertKillsMoveNothing,
  'killed over a soft expiry: the rekey waits for the next agent, no packet lost': assertRekeyWaits,
  'frozen: one setup waits for the deadline, the next fails at once, other IKE_SAs go on':
    assertFreezeCostsOneDeadline,
};

test('an agent that is away for a while', async (t) => {
  await using lab = await Lab.create();
  const pair = await startGatewayPair(lab);
  for (const [what, assertOutage] of Object.entries(OUTAGES)) {
    await t.test(what, async () => {
      await assertOutage(pair);
      await pair.ours.swanctl.terminate({ ike: IKE_NAME });
    });
  }
});

const isOutboundSa = (message: PluginMessage): boolean =>
  message.kind === 'add-sa' && message.awaited && message.sa.id.direction === 'outbound';

test('an agent killed between the inbound SA and the outbound one', async (t) => {
  await using lab = await Lab.create();
  const pair = await startRelayedPair(lab);
  const { gateway, relay, ours } = pair;
  await loadSceneTunnel(pair);

  /** Kills the agent when charon has its inbound SA and asks for the outbound one. */
  const killBetween = async (): Promise<void> => {
    await relay.holdFrom(isOutboundSa);
    await gateway.killAgent();
  };

  await t.test(
    'at first setup: IKE fails the CHILD_SA, the orphan goes, the next agent has it set up',
    async () => {
      const killed = killBetween();
      await assert.rejects(ours.swanctl.initiate(CHILD_NAME), (error) => {
        assert(error instanceof CommandError);
        assert.match(
          error.message,
          /installing outbound SA .* failed: the agent is gone(.|\n)*keeping IKE_SA/,
        );
        return true;
      });
      await killed;
      assert.equal((await inboundSpis(pair)).length, 1);
      const orphans = await inboundSpis(pair);
      await gateway.restartAgent();
      await assertSettled(pair, 1);
      assert.notDeepEqual(await inboundSpis(pair), orphans);
      assert.equal((await ikeSas(ours)).length, 1);
    },
  );

  await t.test('in a rekey: the old CHILD_SA loses no packet, the next rekey works', async () => {
    const [before] = await ours.swanctl.childSas();
    await using traffic = await Traffic.start(pair, { packetsPerSecond: PACKETS_PER_SECOND });
    await traffic.flows();
    const killed = killBetween();
    await logsDuring(ours, /CHILD_SA rekeying failed, trying again/, () =>
      ours.swanctl.rekey({ child: CHILD_NAME }),
    );
    await killed;
    assert.equal((await inboundSpis(pair)).length, 2);
    await traffic.flows();
    await gateway.restartAgent();
    await assertSettled(pair, 1);
    assert.equal((await ours.swanctl.childSas())[0]?.spiIn, before?.spiIn);
    await rekeyChild(ours, pair.peer);
    await traffic.flows();
    await traffic.assertComplete();
    await assertSettled(pair, 1);
  });
});
