import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Direction, type TrafficSelector } from '../../../src/proto/index.ts';
import { type ManualEnd, ManualTunnel } from '../../dataplane/manual-tunnel.ts';
import { putPolicy, samplePolicy, selector } from '../../dataplane/samples.ts';
import { DataplaneProcess, eventually, Lab, PacketFlow } from '../../support/index.ts';

const TAP = 'ipsectap0';
const DECAPSULATED = '02:01:00:00:00:00';
const TO_ENCAPSULATE = '02:02:00:00:00:00';
/** What ManualTunnel names its SAs, as a source address tells it. */
const LEFT_TO_RIGHT = '02:00:c0:00:00:01';
const RIGHT_TO_LEFT = '02:00:c0:00:00:02';
/** What a packet-counter's payload begins with. */
const MAGIC = 'LGCP';
const COUNT = 200;
const INNER6 = { left: '2001:db8:1::1', right: '2001:db8:2::1' };
const SELECTORS6 = {
  source: oneAddress6('20010db8000100000000000000000001'),
  destination: oneAddress6('20010db8000200000000000000000001'),
};

/** What tcpdump prints of a frame: addresses, EtherType, and its bytes as text. */
type Frame = { readonly addresses: string; readonly etherType: string; readonly text: string };

/** tcpdump on an end's tap. */
async function capture(lab: Lab, { site }: ManualEnd, filter: string): Promise<() => readonly Frame[]> {
  const frames: Frame[] = [];
  const tcpdump = lab.use(
    site.namespace.spawn({
      name: `tcpdump on the tap of ${site.name}`,
      argv: ['tcpdump', '-i', TAP, '-eAlntp', '-B', '65536', '--immediate-mode', filter],
      logPath: join(site.dir, 'tap.log'),
      onLine: (line) => {
        const [, addresses, etherType] = / *(\S+ > \S+), ethertype IPv[46] \((0x\w+)\)/.exec(line) ?? [];
        const last = frames.at(-1);
        if (addresses !== undefined && etherType !== undefined)
          frames.push({ addresses, etherType, text: '' });
        else if (last !== undefined) frames.splice(-1, 1, { ...last, text: `${last.text}${line}\n` });
      },
    }),
  );
  await tcpdump.waitFor('it listens', async () => (await tcpdump.log()).includes('listening on'));
  return () => frames;
}

function countBy(frames: readonly Frame[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { addresses } of frames) counts[addresses] = (counts[addresses] ?? 0) + 1;
  return counts;
}

function oneAddress6(hex: string): TrafficSelector {
  const only = { value: Buffer.from(hex, 'hex') };
  return { addresses: { first: only, last: only }, ports: { first: 0, last: 65535 }, protocol: 0 };
}

describe('the tap', () => {
  it('is not there unless it is asked for', async () => {
    await using lab = await Lab.create();
    const namespace = await lab.namespace('untapped');
    await using _dataplane = await DataplaneProcess.start({ namespace, dir: lab.dir });
    const links = await namespace.ip('-o', 'link', 'show');
    assert.deepEqual(links.match(/^\d+: [^:@]+/gm), ['1: lo', links.match(/\d+: ipsec0/)?.[0]]);
  });

  it('shows each packet in clear once, with direction and SPI; what is delivered stays as it was', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab, { config: { tap: TAP } });
    const [left, right] = [tunnel.left.site, tunnel.right.site];
    const leftTap = await capture(lab, tunnel.left, 'udp');
    const rightTap = await capture(lab, tunnel.right, 'udp');
    const ends = [left, right].map(({ namespace, inner }) => ({ namespace, address: inner }));
    const [from, to] = ends;
    assert(from && to);
    const common = { dir: lab.dir, packetsPerSecond: 1_000, count: COUNT };
    await using there = await PacketFlow.start({ ...common, from, to, sizeBytes: 1_000 });
    await using back = await PacketFlow.start({ ...common, from: to, to: from, stream: 2 });
    for (const { sent, received, duplicates, foreign } of [await there.finish(), await back.finish()]) {
      assert.deepEqual([sent, received, duplicates, foreign], [COUNT, COUNT, 0, 0]);
    }
    for (const [tap, sends, receives] of [
      [leftTap, LEFT_TO_RIGHT, RIGHT_TO_LEFT],
      [rightTap, RIGHT_TO_LEFT, LEFT_TO_RIGHT],
    ] as const) {
      await eventually('every packet is on the tap, in clear', () => {
        return tap().filter(({ text }) => text.includes(MAGIC)).length >= 2 * COUNT;
      });
      assert.deepEqual(countBy(tap()), {
        [`${sends} > ${TO_ENCAPSULATE}`]: COUNT,
        [`${receives} > ${DECAPSULATED}`]: COUNT,
      });
      assert.ok(tap().every(({ etherType }) => etherType === '0x0800'));
    }
  });

  it('shows IPv6 packets as such', async () => {
    await using lab = await Lab.create();
    const carriesBoth = {
      sourceSelectors: [selector('0.0.0.0/0'), SELECTORS6.source],
      destinationSelectors: [selector('0.0.0.0/0'), SELECTORS6.destination],
    };
    using tunnel = await ManualTunnel.start(lab, {
      config: { tap: TAP },
      left: carriesBoth,
      right: carriesBoth,
    });
    const spi = 0xc0000001;
    const peer = tunnel.right.site.outer;
    const inbound = samplePolicy({ ...SELECTORS6, spi, peer, direction: Direction.DIRECTION_INBOUND });
    await tunnel.right.client.must(putPolicy(inbound));
    await tunnel.left.client.must(putPolicy(samplePolicy({ ...SELECTORS6, spi, peer })));
    const { namespace } = tunnel.left.site;
    await namespace.ip('-6', 'address', 'add', `${INNER6.left}/128`, 'dev', 'lo', 'nodad');
    await namespace.ip('-6', 'route', 'add', INNER6.right, 'dev', 'ipsec0', 'src', INNER6.left);
    const taps = [
      [await capture(lab, tunnel.left, 'ip6'), TO_ENCAPSULATE],
      [await capture(lab, tunnel.right, 'ip6'), DECAPSULATED],
    ] as const;
    // Nobody answers it.
    await namespace.run(['ping', '-6', '-q', '-c', '1', '-W', '0.2', INNER6.right]).catch(() => undefined);
    for (const [tap, direction] of taps) {
      await eventually('it is on the tap', () => tap().length > 0);
      const seen = tap().map(({ addresses, etherType }) => [addresses, etherType]);
      assert.deepEqual(seen, [[`${LEFT_TO_RIGHT} > ${direction}`, '0x86dd']]);
    }
  });

  it('has no address, no ARP and no routes, goes with the process, and says at start what it shows', async () => {
    await using lab = await Lab.create();
    const namespace = await lab.namespace('tapped');
    const overrides = { tap: TAP };
    const options = { namespace, dir: lab.dir, logLevel: 'info', overrides } as const;
    {
      await using dataplane = await DataplaneProcess.start(options);
      const shown = await namespace.ip('address', 'show', 'dev', TAP);
      assert.match(shown, /NOARP.*[<,]UP[,>]/);
      assert.doesNotMatch(shown, /inet/);
      assert.equal(await namespace.ip('route', 'show', 'table', 'all', 'dev', TAP), '');
      assert.match(await dataplane.process.log(), /in clear on this device.*CAP_NET_RAW/);
    }
    await assert.rejects(namespace.ip('link', 'show', TAP), /does not exist/);
  });

  it('that somebody takes away disturbs nobody', async () => {
    await using lab = await Lab.create();
    using tunnel = await ManualTunnel.start(lab, { config: { tap: TAP } });
    await tunnel.left.site.namespace.ip('link', 'set', TAP, 'down');
    await tunnel.ping();
    await tunnel.left.site.namespace.ip('link', 'delete', TAP);
    await tunnel.ping();
    const { dataplane } = tunnel.left;
    await dataplane.process.stop();
    // Six requests and six replies.
    assert.match(await dataplane.process.log(), /"?tapWritesFailed"?: ?12\b/);
  });

  for (const kind of ['veth', 'tap'] as const) {
    it(`takes no device that is there already: ${kind}`, async () => {
      await using lab = await Lab.create();
      const namespace = await lab.namespace('taken');
      if (kind === 'tap') await namespace.ip('tuntap', 'add', 'mode', 'tap', 'name', TAP);
      else await namespace.ip('link', 'add', TAP, 'type', kind);
      await assert.rejects(
        DataplaneProcess.start({ namespace, dir: lab.dir, overrides: { tap: TAP } }),
        /cannot create the tap, another device has its name \(ipsectap0\)/,
      );
      await namespace.ip('link', 'show', TAP);
    });
  }
});
