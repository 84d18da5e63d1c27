import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { ManualTunnel } from '../../dataplane/manual-tunnel.ts';
import { deleteSa } from '../../dataplane/samples.ts';
import { command, Lab } from '../../support/index.ts';

/** Outer IPv4, ESP with AES-GCM-16, the trailer, a multiple of four: what is left of 1300 bytes. */
const LINK_MTU = 1300;
const LARGEST = Math.floor((LINK_MTU - 20 - 8 - 8 - 16) / 4) * 4 - 2;
const HEADERS = 28;

async function tunnelOverSmallLink(
  lab: Lab,
  config?: Readonly<Record<string, unknown>>,
): Promise<ManualTunnel> {
  const tunnel = await ManualTunnel.start(lab, config === undefined ? {} : { config });
  for (const { site } of [tunnel.left, tunnel.right]) {
    await site.namespace.ip('link', 'set', 'eth0', 'mtu', String(LINK_MTU));
  }
  return tunnel;
}

/** What ping says of packets of a size, with DF or without. */
async function ping(
  { left, right }: ManualTunnel,
  packetBytes: number,
  hasDf: boolean,
): Promise<{ readonly stdout: string; readonly received: number }> {
  const size = String(packetBytes - HEADERS);
  const script = `ping -c 3 -i 0.1 -W 1 -M ${hasDf ? 'do' : 'dont'} -s ${size} -I ${left.site.inner} ${right.site.inner} 2>&1; true`;
  const { stdout } = await command(left.site.namespace.argv(['sh', '-c', script]));
  return { stdout, received: Number(/(\d+) received/.exec(stdout)?.[1] ?? -1) };
}

describe('a path of less than the TUN device', () => {
  it('is told to senders that forbid fragments, in ICMP with what fits', async () => {
    await using lab = await Lab.create();
    using tunnel = await tunnelOverSmallLink(lab);
    assert.equal((await ping(tunnel, LARGEST, true)).received, 3);
    const { stdout, received } = await ping(tunnel, LARGEST + 1, true);
    assert.equal(received, 0);
    assert.match(stdout, new RegExp(`Frag needed and DF set \\(mtu = ${LARGEST}\\)`));
    const [sa] = (await tunnel.left.client.sas()).filter(({ nextSequence }) => nextSequence > 0n);
    // Those that did not fit used no sequence number.
    assert.equal(sa?.counters?.packets, 3n);
  });

  it('is still known when this end gets another address', async () => {
    await using lab = await Lab.create();
    using tunnel = await tunnelOverSmallLink(lab);
    const { namespace, outer } = tunnel.left.site;
    assert.match((await ping(tunnel, LARGEST + 1, true)).stdout, /Frag needed/);
    await namespace.ip('address', 'delete', `${outer}/24`, 'dev', 'eth0');
    await namespace.ip('address', 'add', '198.18.0.99/24', 'dev', 'eth0');
    // The kernel is asked again after two seconds; ping's own one knows by now.
    await setTimeout(2100);
    await namespace.ip('route', 'flush', 'cache');
    assert.match((await ping(tunnel, LARGEST + 1, true)).stdout, /Frag needed/);
  });

  for (const [fragment, encapsulated] of [
    ['before', 6n],
    ['after', 3n],
  ] as const) {
    it(`fragments packets that may be ${fragment} they are encapsulated`, async () => {
      await using lab = await Lab.create();
      using tunnel = await tunnelOverSmallLink(lab, { fragment });
      assert.equal((await ping(tunnel, 1380, false)).received, 3);
      const states = await tunnel.left.client.sas();
      const outbound = states.find(({ nextSequence }) => nextSequence > 0n);
      assert.equal(outbound?.counters?.packets, encapsulated);
    });
  }

  it('is what an `auto` TUN device has as its MTU, so that the host knows', async () => {
    await using lab = await Lab.create();
    const config = { tun: { mtu: 'auto' } };
    using tunnel = await ManualTunnel.start(lab, { config });
    const mtu = async (): Promise<string | undefined> => {
      const link = await tunnel.left.site.namespace.ip('link', 'show', 'ipsec0');
      return / mtu (\d+) /.exec(link)?.[1];
    };
    const largest = Math.floor((1500 - 20 - 8 - 8 - 16) / 4) * 4 - 2;
    assert.equal(await mtu(), String(largest));
    assert.equal((await ping(tunnel, largest, true)).received, 3);
    assert.match((await ping(tunnel, largest + 1, true)).stdout, /message too long, mtu=/);
    for (const { sa } of await tunnel.left.client.sas()) {
      await tunnel.left.client.must(deleteSa(sa?.id));
    }
    assert.equal(await mtu(), '1400');
  });

  it('fragments nothing where that is forbidden, and tells the sender', async () => {
    await using lab = await Lab.create();
    using tunnel = await tunnelOverSmallLink(lab, { fragment: 'never' });
    // The kernel of the sender fragments when it knows.
    const { stdout, received } = await ping(tunnel, 1380, false);
    assert.ok(received < 3);
    assert.match(stdout, /Frag needed and DF set/);
  });
});
