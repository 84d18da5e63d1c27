import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Direction, PolicyAction } from '../../../src/proto/index.ts';
import { EventWatcher } from '../../dataplane/event-watcher.ts';
import { type ManualEnd, ManualTunnel } from '../../dataplane/manual-tunnel.ts';
import {
  address,
  addSa,
  deleteSa,
  putPolicy,
  saId,
  samplePolicy,
  sampleSa,
  selector,
} from '../../dataplane/samples.ts';
import { measureThroughput } from '../../dataplane/throughput.ts';
import { inRepository, Lab, PacketFlow } from '../../support/index.ts';

const COPY = inRepository('test', 'dataplane', 'tcp-copy.ts');

function endOf({ site }: ManualEnd): { namespace: typeof site.namespace; address: string } {
  return { namespace: site.namespace, address: site.inner };
}

/** Sends pings that nobody is meant to answer. */
async function knock(end: ManualEnd, to: string, count = 3): Promise<void> {
  const { namespace, inner } = end.site;
  const timing = ['-c', String(count), '-i', '0.05', '-W', '0.2'];
  await namespace.run(['ping', '-q', ...timing, '-I', inner, to]).catch(() => undefined);
}

async function copyTcp(lab: Lab, from: ManualEnd, to: ManualEnd, bytes: number): Promise<void> {
  const lines: string[] = [];
  await using server = to.site.namespace.spawn({
    name: 'tcp-copy',
    argv: [process.execPath, COPY, 'serve', to.site.inner, '7777'],
    logPath: `${lab.dir}/tcp-copy.log`,
    onLine: (line) => lines.push(line),
  });
  await server.waitFor('it listens', () => lines.includes('listening'));
  const argv = [
    process.execPath,
    COPY,
    'send',
    from.site.inner,
    to.site.inner,
    '7777',
    String(bytes),
  ] as const;
  const { stdout } = await from.site.namespace.run(argv, { timeoutMs: 20_000 });
  await server.exited;
  assert.equal(stdout.trim(), lines.at(-1));
}

describe('packet paths', () => {
  it('carry megabytes of TCP unchanged, both ways, segmented and coalesced on the way', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab);
    const [before] = await tunnel.left.client.saChunks({});
    await copyTcp(lab, tunnel.left, tunnel.right, 30_000_000);
    const used = await tunnel.left.client.saChunks({ usedSinceMs: before?.listedAtMs ?? 0n });
    assert.equal(used[0]?.sas.length, 2);
    await copyTcp(lab, tunnel.right, tunnel.left, 10_000_001);
    const [sa] = await tunnel.left.client.sas({ ownerId: 'test' });
    assert.ok((sa?.counters?.packets ?? 0n) > 1000n);
  });

  it('lose nothing when SAs are replaced at 10,000 packets per second', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab);
    const common = { dir: lab.dir, packetsPerSecond: 10_000 };
    await using flow = await PacketFlow.start({
      ...common,
      from: endOf(tunnel.left),
      to: endOf(tunnel.right),
    });
    await flow.waitReceived(500);
    for (let rekey = 0; rekey < 5; rekey += 1) {
      const spis = { left: 0xc0000101 + rekey, right: 0xc0000201 + rekey };
      await tunnel.install({}, spis);
      const at = (await flow.received()).received;
      await flow.waitReceived(at + 300);
    }
    const { left, right } = tunnel;
    for (const direction of [Direction.DIRECTION_OUTBOUND, Direction.DIRECTION_INBOUND]) {
      const [end, peer] = direction === Direction.DIRECTION_OUTBOUND ? [left, right] : [right, right];
      await end.client.must(deleteSa(saId(direction, 0xc0000001, peer.site.outer)));
    }
    const report = await flow.finish();
    assert.deepEqual({ lost: report.lost, duplicates: report.duplicates }, { lost: 0, duplicates: 0 });
  });

  it('drop what no policy and no SA is there for, and count what is discarded', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab);
    const { left } = tunnel;
    const other = '198.19.9.9';
    await left.site.namespace.ip('route', 'add', '198.19.9.0/24', 'dev', 'ipsec0', 'src', left.site.inner);
    const before = (await left.client.sas()).map(({ counters }) => counters?.packets);
    await knock(left, other);
    const discard = samplePolicy({
      source: selector(left.site.innerNet),
      destination: selector('198.19.9.0/24'),
      action: PolicyAction.POLICY_ACTION_DISCARD,
    });
    await left.client.must(putPolicy(discard));
    await knock(left, other);
    const policy = (await left.client.policies()).find((one) => one.policy?.action === discard.action);
    assert.deepEqual([policy?.packets, policy?.bytes], [3n, 3n * 84n]);
    assert.ok((policy?.idleMs ?? 100_000n) < 5_000n);
    assert.deepEqual(
      (await left.client.sas()).map(({ counters }) => counters?.packets),
      before,
    );
    // A policy whose SA is gone keeps its traffic in.
    await left.client.must(deleteSa(saId(Direction.DIRECTION_OUTBOUND, 0xc0000001, tunnel.right.site.outer)));
    await assert.rejects(tunnel.ping());
  });

  it('raise one acquire a second for a trap, and carry packets when its SA comes', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab);
    const { left, right } = tunnel;
    using watcher = new EventWatcher(left.client);
    await watcher.next();
    const match = { source: selector(left.site.innerNet), destination: selector(right.site.innerNet) };
    await left.client.must(putPolicy(samplePolicy({ ...match, spi: 0 })));
    await knock(left, right.site.inner, 4);
    const first = await watcher.next();
    assert.equal(first.acquire?.reqid, 1);
    assert.deepEqual([...(first.acquire?.destination?.addresses?.first?.value ?? [])], [198, 19, 2, 1]);
    assert.equal(first.acquire?.source?.protocol, 1);
    await delay(1_100);
    await knock(left, right.site.inner, 2);
    const second = await watcher.next();
    assert.equal(second.id, first.id + 1n);
    await left.client.must(putPolicy(samplePolicy({ ...match, spi: 0xc0000001, peer: right.site.outer })));
    await tunnel.ping();
  });

  it('bypass in clear, past the routes into the TUN device', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab);
    const { left, right } = tunnel;
    const { namespace, outer } = left.site;
    await namespace.ip('rule', 'add', 'priority', '220', 'not', 'fwmark', '66', 'lookup', '220');
    await namespace.ip(
      'route',
      'add',
      `${right.site.outer}/32`,
      'dev',
      'ipsec0',
      'src',
      outer,
      'table',
      '220',
    );
    const ping = (): Promise<unknown> =>
      namespace.run(['ping', '-q', '-c', '2', '-i', '0.05', '-W', '0.3', right.site.outer]);
    await assert.rejects(ping());
    const bypass = samplePolicy({
      source: selector(outer),
      destination: selector(right.site.outer),
      action: PolicyAction.POLICY_ACTION_BYPASS,
    });
    await left.client.must(putPolicy(bypass));
    await ping();
    // And the tunnel's own packets to that address still go out.
    await tunnel.ping();
  });

  it('go on when SAs move to another address, before and after the policy follows', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab);
    const { left, right } = tunnel;
    const moved = '198.18.0.22';
    await right.site.namespace.addAddress('eth0', `${moved}/24`);
    await tunnel.ping();
    for (const [end, direction] of [
      [right, Direction.DIRECTION_INBOUND],
      [left, Direction.DIRECTION_OUTBOUND],
    ] as const) {
      await end.client.must({
        updateSa: {
          id: saId(direction, 0xc0000001, right.site.outer),
          newSource: address(left.site.outer),
          newDestination: address(moved),
          newUdpEncapsulation: undefined,
          newReqid: 0,
        },
      });
    }
    await tunnel.ping();
    const match = { source: selector(left.site.innerNet), destination: selector(right.site.innerNet) };
    await left.client.must(putPolicy(samplePolicy({ ...match, spi: 0xc0000001, peer: moved })));
    await tunnel.ping();
    const states = await right.client.sas();
    const inbound = states.find(({ sa }) => sa?.id?.direction === Direction.DIRECTION_INBOUND);
    assert.equal(inbound?.counters?.packets, 9n);
  });

  it('ask the inbound SPD of the device a packet comes out of', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab, { config: { tunDevices: [{ name: 'if5', ifId: 5 }] } });
    const { left, right } = tunnel;
    const common = {
      ...{ spi: 0xc0000005, encryptionKey: randomBytes(20) },
      ...{ source: left.site.outer, destination: right.site.outer },
    };
    const match = { source: selector(left.site.innerNet), destination: selector(right.site.innerNet) };
    const inbound = sampleSa({ ...common, direction: Direction.DIRECTION_INBOUND });
    const discards = [0, 5].map((ifId) => {
      const action = PolicyAction.POLICY_ACTION_DISCARD;
      const policy = samplePolicy({ ...match, direction: Direction.DIRECTION_INBOUND, action });
      return putPolicy({ ...policy, id: policy.id && { ...policy.id, ifId } });
    });
    await right.client.must(addSa({ ...inbound, id: inbound.id && { ...inbound.id, ifId: 5 } }), ...discards);
    await left.client.must(
      addSa(sampleSa({ ...common, direction: Direction.DIRECTION_OUTBOUND })),
      putPolicy(samplePolicy({ ...match, spi: common.spi, peer: right.site.outer })),
    );
    await knock(left, right.site.inner);
    const counted = (await right.client.policies())
      .filter(({ policy }) => policy?.action === PolicyAction.POLICY_ACTION_DISCARD)
      .map(({ policy, packets }) => `if_id ${policy?.id?.ifId}: ${packets}`);
    assert.deepEqual(counted.sort(), ['if_id 0: 0', 'if_id 5: 3']);
  });

  it('check decapsulated packets against their SA’s selectors', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab);
    const { left, right } = tunnel;
    // The left end sends what the right end's SA is not for.
    await left.site.namespace.addAddress('lo', '198.19.7.7/32');
    await left.client.must(
      putPolicy(
        samplePolicy({
          source: selector('198.19.7.7'),
          destination: selector(right.site.innerNet),
          spi: 0xc0000001,
          peer: right.site.outer,
        }),
      ),
    );
    await knock({ ...left, site: { ...left.site, inner: '198.19.7.7' } }, right.site.inner);
    const states = await right.client.sas();
    const inbound = states.find(({ sa }) => sa?.id?.direction === Direction.DIRECTION_INBOUND);
    assert.equal(inbound?.counters?.selectorDrops, 3n);
    assert.equal(inbound?.counters?.packets, 0n);
  });

  it('leave the control plane its turn at full load', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab);
    const load = measureThroughput({
      from: endOf(tunnel.left),
      to: endOf(tunnel.right),
      seconds: 3,
      dir: lab.dir,
    });
    await delay(700);
    const latencies: number[] = [];
    for (let spi = 0xc2000000; spi < 0xc2000100; spi += 1) {
      const { outer } = tunnel.left.site;
      const sa = sampleSa({
        direction: Direction.DIRECTION_OUTBOUND,
        spi,
        source: outer,
        destination: '198.18.0.77',
      });
      const startedAt = performance.now();
      await tunnel.left.client.must(addSa(sa));
      latencies.push(performance.now() - startedAt);
    }
    const { bitsPerSecond } = await load;
    latencies.sort((a, b) => a - b);
    assert.ok((latencies[250] ?? 1_000) < 100, `98 % within ${latencies[250]} ms at ${bitsPerSecond} bit/s`);
  });

  it('end with an error when the TUN device is taken away, and not before', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab);
    const { namespace } = tunnel.left.site;
    await namespace.ip('link', 'set', 'ipsec0', 'down');
    await namespace.ip('link', 'set', 'ipsec0', 'up');
    await namespace.ip(
      'route',
      'add',
      tunnel.right.site.innerNet,
      'dev',
      'ipsec0',
      'src',
      tunnel.left.site.inner,
    );
    await tunnel.ping();
    await namespace.ip('link', 'delete', 'ipsec0');
    const exit = await tunnel.left.dataplane.process.exited;
    assert.equal(exit.code, 1);
  });

  it('stay closed when the dataplane is killed', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab);
    const { left } = tunnel;
    left.dataplane.process.signal('SIGKILL');
    await left.dataplane.process.exited;
    assert.match(await left.site.namespace.ip('route', 'show', tunnel.right.site.innerNet), /ipsec0/);
    await assert.rejects(tunnel.ping());
  });
});
