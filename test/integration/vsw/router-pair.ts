import assert from 'node:assert/strict';
import type { ListedSa } from '../../support/fake-lagopus/index.ts';
import { CHILD_NAME, eventually, type Lab, type Peer, replacingChildSa } from '../../support/index.ts';
import { RouterGateway, type RouterGatewayOptions } from '../../support/router-gateway.ts';
import { type LoggedChild, parseKeyLog } from './charon-keys.ts';

/** A gateway with a router at both ends: what one sends the other receives, with the keys they hold. */
export type RouterPair = { readonly lab: Lab; readonly left: RouterGateway; readonly right: RouterGateway };

/** A replaced inbound SA goes after one second, so that a test need not wait five to see it gone. */
const BRIEF = { delete_rekeyed_delay: 1 };

export async function startRouterPair(lab: Lab, options: RouterGatewayOptions = {}): Promise<RouterPair> {
  const sites = await lab.pair();
  const all = { ...options, extra: { ...BRIEF, ...options.extra } };
  const [left, right] = await Promise.all([
    RouterGateway.start(lab, sites.left, all),
    RouterGateway.start(lab, sites.right, all),
  ]);
  return { lab, left, right };
}

export function routerPeer(gateway: RouterGateway): Peer {
  return {
    site: gateway.site,
    get swanctl() {
      return gateway.charon.swanctl;
    },
    charonLog: () => gateway.charon.log(),
    heldSpis: async () => undefined,
    crash: () => gateway.charon.process.kill(),
  };
}

/** A rekeying takes a tick for each SA that is waited for, and one for the policy that moves. */
const REKEY_MS = 30_000;

/** Has `self` rekey the only CHILD_SA. */
export function rekeyRouters(self: RouterGateway, other: RouterGateway): Promise<void> {
  const peers = [routerPeer(self), routerPeer(other)] as const;
  return replacingChildSa(peers, () => self.charon.swanctl.rekey({ child: CHILD_NAME }), REKEY_MS);
}

/** Inner source and destination of a packet from a gateway's network to the other's. */
function innerFrom(from: RouterGateway, to: RouterGateway): { source: string; destination: string } {
  return { source: from.site.inner, destination: to.site.inner };
}

/** Hands one packet from one router to the other; why it did not arrive, if it did not. */
export function carry(from: RouterGateway, to: RouterGateway, vrf = 'vrf1'): string | undefined {
  if (!from.vsw.hasVrf(vrf) || !to.vsw.hasVrf(vrf)) return 'no VRF';
  const sent = from.vsw.vrf(vrf).forwarding.send(innerFrom(from, to));
  if (sent.kind !== 'esp') return `not sent: ${sent.kind === 'clear' ? 'in clear' : sent.reason}`;
  const received = to.vsw.vrf(vrf).forwarding.receive(sent.packet);
  return received.kind === 'delivered' ? undefined : `not received: ${received.reason}`;
}

/** Numbered packets both ways at a rate, through the forwarding model of both routers. */
export class ModelFlow implements Disposable {
  readonly lost: string[] = [];
  sent = 0;
  readonly #timer: NodeJS.Timeout;

  constructor({ left, right }: RouterPair, packetsPerSecond = 50) {
    this.#timer = setInterval(() => {
      for (const [from, to] of [
        [left, right],
        [right, left],
      ] as const) {
        this.sent++;
        const why = carry(from, to);
        if (why !== undefined) this.lost.push(`${from.site.name} ${this.sent}: ${why}`);
      }
    }, 1000 / packetsPerSecond);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function keyOf({ values }: ListedSa): string {
  return values.encryptionKey.toString('hex') + values.integrityKey.toString('hex');
}

/**
 * Both routers hold exactly the SAs of the CHILD_SAs that charon lists, mature and not displaced, with
 * charon's keys: the two keys it derived for the pair of SPIs, and the same one at both ends.
 *
 * @throws AssertionError naming the difference that lasted.
 */
export async function assertCharonsKeys(
  pair: RouterPair,
  children: number,
  timeoutMs = 30_000,
): Promise<void> {
  let difference: unknown;
  const isSame = async (): Promise<boolean> => {
    try {
      await assertCharonsKeysNow(pair, children);
      return true;
    } catch (error) {
      difference = error;
      return false;
    }
  };
  await eventually('the routers hold what the charons list', isSame, { timeoutMs, intervalMs: 100 }).catch(
    () => {
      throw difference;
    },
  );
}

async function assertCharonsKeysNow({ left, right }: RouterPair, count: number): Promise<void> {
  for (const [self, other] of [
    [left, right],
    [right, left],
  ] as const) {
    const { name } = self.site;
    const listed = await self.charon.swanctl.childSas();
    assert.equal(listed.length, count, `CHILD_SAs at ${name}`);
    const held = new Map(self.vsw.sas().map((sa) => [sa.spi, sa]));
    const spis = listed.flatMap(({ spiIn, spiOut }) => [spiIn, spiOut]);
    assert.deepEqual([...held.keys()].sort(), spis.sort(), `SPIs at ${name}`);
    const logged = new Map<number, LoggedChild>();
    for (const child of parseKeyLog(await self.charon.log())) logged.set(child.spiIn, child);
    for (const { spiIn, spiOut } of listed) {
      const [inbound, outbound] = [held.get(spiIn), held.get(spiOut)];
      assert(inbound !== undefined && outbound !== undefined);
      assert.equal(inbound.isInstalled.inbound, true, `${name}: inbound ${spiIn} holds its slot`);
      assert.equal(outbound.isInstalled.outbound, true, `${name}: outbound ${spiOut} holds its slot`);
      const child = logged.get(spiIn);
      assert(child?.spiOut === spiOut, `charon's log of ${name} has the keys of ${spiIn}`);
      assert.deepEqual([keyOf(inbound), keyOf(outbound)].sort(), [...child.keys].sort(), `keys at ${name}`);
      const theirs = other.vsw.sas().find(({ spi }) => spi === spiOut);
      assert.equal(theirs === undefined ? undefined : keyOf(theirs), keyOf(outbound), `key of ${spiOut}`);
      assert.deepEqual([inbound.values.local, inbound.values.remote], [other.site.outer, self.site.outer]);
      assert.deepEqual([outbound.values.local, outbound.values.remote], [self.site.outer, other.site.outer]);
    }
  }
}

/** No key sent two packets of one sequence number, over all lives of the routers; none of them crashed. */
export function assertSafe({ left, right }: RouterPair): void {
  for (const { vsw, site } of [left, right]) {
    assert.deepEqual(vsw.nonces.reused, [], `nonces used twice at ${site.name}`);
    assert.equal(vsw.crash, undefined, `vsw of ${site.name}`);
  }
}
