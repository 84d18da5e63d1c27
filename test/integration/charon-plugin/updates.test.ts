import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FeedPolicy } from '../../../src/keyfeed/index.ts';
import { eventually, type ListedChildSa, tunnelEnd } from '../../support/index.ts';
import { OK } from './fake-agent.ts';
import { logged, Rig } from './rig.ts';

/** The endpoints of the left end's SAs as its agent has them: `inbound 198.18.0.2 > 198.18.0.1`. */
function endpoints(rig: Rig): string[] {
  return [...rig.agent.sas.values()].map(
    ({ id }) => `${id.direction} ${id.source.address} > ${id.destination.address}`,
  );
}

/** Moves the right end to another address; MOBIKE tells the left one. */
async function movePeer(rig: Rig): Promise<void> {
  const { namespace } = rig.sites.right;
  await namespace.ip('address', 'delete', '198.18.0.2/24', 'dev', 'eth0');
  await namespace.addAddress('eth0', '198.18.0.3/24');
}

/** A tunnel whose initiator, at the right end, may choose among its addresses. */
async function startTunnel(): Promise<Rig> {
  const rig = await Rig.start();
  await rig.load({ right: { ...tunnelEnd(rig.sites.right), address: '%any' } });
  await rig.initiate('right');
  return rig;
}

const usage = (listed: readonly ListedChildSa[]): unknown =>
  listed.map(({ bytesIn, packetsIn, bytesOut, packetsOut }) => [bytesIn, packetsIn, bytesOut, packetsOut]);

test('an SA moves with its peer: inbound, then outbound, and is found under its new address', async () => {
  await using rig = await startTunnel();
  await movePeer(rig);
  await logged(rig.left, /moved SA .* to 198\.18\.0\.1.* == 198\.18\.0\.3/);
  await eventually('both moved', () => {
    assert.deepEqual(endpoints(rig).sort(), [
      'inbound 198.18.0.3 > 198.18.0.1',
      'outbound 198.18.0.1 > 198.18.0.3',
    ]);
    return true;
  });
  assert.equal(rig.agent.policies.size, 3);
  assert([...rig.agent.policies.values()].every(({ type }) => type === 'ipsec'));
  await rig.left.swanctl.terminate({ ike: 'gw' });
  assert.equal(rig.agent.sas.size + rig.agent.policies.size, 0);
});

for (const [which, rekeys] of [
  ['inbound', 'charon rekeys'],
  ['outbound', 'the inbound one goes back, and charon rekeys'],
] as const) {
  test(`a refused move of the ${which} SA: ${rekeys}`, async () => {
    await using rig = await startTunnel();
    const moves: string[] = [];
    rig.agent.answers = (request) => {
      if (request.kind !== 'update-sa') return OK;
      moves.push(
        `${request.id.direction} to ${request.newSource.address} > ${request.newDestination.address}`,
      );
      return request.id.direction === which && moves.length <= 2
        ? { code: 'refused', reason: 'no moving' }
        : OK;
    };
    await movePeer(rig);
    await logged(rig.left, /moving SA .* failed: no moving/);
    await logged(rig.left, /outbound CHILD_SA net\{2\} established/);
    const there = ['inbound to 198.18.0.3 > 198.18.0.1', 'outbound to 198.18.0.1 > 198.18.0.3'];
    const back = 'inbound to 198.18.0.2 > 198.18.0.1';
    assert.deepEqual(moves, which === 'inbound' ? there.slice(0, 1) : [...there, back]);
    await eventually('only the new SAs are left', () => {
      assert.deepEqual(endpoints(rig).sort(), [
        'inbound 198.18.0.3 > 198.18.0.1',
        'outbound 198.18.0.1 > 198.18.0.3',
      ]);
      return true;
    });
  });
}

test('the dataplane sees the peer at another port: charon moves the SAs there', async () => {
  await using rig = await Rig.start({ tunnel: { isEncapsulated: true } });
  await rig.initiate();
  const [sa] = [...rig.agent.sas.values()].filter(({ id }) => id.direction === 'inbound');
  assert(sa !== undefined);
  const { protocol, spi, destination, source } = sa.id;
  rig.agent.send({ kind: 'mapping', protocol, spi, destination, newSource: { ...source, port: 4_600 } });
  await logged(rig.left, 'NAT mappings of CHILD_SA');
  await eventually('the move', () => {
    const outbound = [...rig.agent.sas.values()].find(({ id }) => id.direction === 'outbound');
    return outbound?.id.destination.port === 4_600;
  });
});

test('the use of a policy is that of its mark and interface ID', async () => {
  const child = { if_id_in: 7, if_id_out: 7, mark_out: '0x2a/0xff' };
  await using rig = await Rig.start({ tunnel: { child } });
  await rig.initiate();
  const policy = [...rig.agent.policies.values()].find(({ direction }) => direction === 'outbound');
  assert(policy !== undefined);
  const { direction, source, destination, mark, ifId } = policy;
  const used = (idleMs: bigint, scope: Partial<Pick<FeedPolicy, 'mark' | 'ifId'>>): void =>
    rig.agent.send({
      kind: 'policy-usage',
      entries: [{ direction, source, destination, mark, ifId, idleMs, ...scope }],
    });
  // charon asks for the use of policies when an SA has carried something and does not say when.
  rig.agent.send({
    kind: 'usage',
    entries: [
      {
        ...{ protocol: 'esp', direction: 'outbound', spi: rig.agent.spis('outbound')[0] ?? 0 },
        ...{ destination: '198.18.0.2', bytes: 1_000n, packets: 10n, idleMs: undefined },
      },
    ],
  });
  used(20_000n, {});
  used(0n, { ifId: undefined });
  used(0n, { mark: undefined });
  await eventually('the use is known', async () => {
    const { stdout } = await rig.left.swanctl.run(['--list-sas', '--raw']);
    return stdout.includes('use-out=');
  });
  const { stdout } = await rig.left.swanctl.run(['--list-sas', '--raw']);
  assert.match(stdout, /use-out=2\d /);
});

test('usage is answered from what the agent reported, and never goes back', async () => {
  await using rig = await Rig.start();
  await rig.initiate();
  const [spiIn, spiOut] = [rig.agent.spis('inbound')[0] ?? 0, rig.agent.spis('outbound')[0] ?? 0];
  const report = (bytes: bigint, packets: bigint): void =>
    rig.agent.send({
      kind: 'usage',
      entries: [
        {
          protocol: 'esp',
          direction: 'inbound',
          spi: spiIn,
          destination: '198.18.0.1',
          bytes,
          packets,
          idleMs: 5_000n,
        },
        {
          protocol: 'esp',
          direction: 'outbound',
          spi: spiOut,
          destination: '198.18.0.2',
          bytes,
          packets,
          idleMs: 0n,
        },
        {
          protocol: 'esp',
          direction: 'outbound',
          spi: spiIn,
          destination: '198.18.0.1',
          bytes: 1n << 40n,
          packets,
          idleMs: 0n,
        },
      ],
    });
  const listed = async (expected: number, packets: number): Promise<void> => {
    await eventually(`${expected} bytes`, async () => {
      assert.deepEqual(usage(await rig.left.swanctl.childSas()), [[expected, packets, expected, packets]]);
      return true;
    });
  };
  report(1_000n, 10n);
  await listed(1_000, 10);
  // the dataplane counts from the start again: what it counted before stays
  report(200n, 2n);
  await listed(1_200, 12);
  report(300n, 3n);
  await listed(1_300, 13);
  const { stdout } = await rig.left.swanctl.run(['--list-sas', '--raw']);
  assert.match(stdout, /use-in=[5-8] /);
  assert.match(stdout, /use-out=[0-3] /);
  await rig.killAgent();
  await listed(1_300, 13);
});
