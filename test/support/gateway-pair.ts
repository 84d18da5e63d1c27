import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { eventually } from './eventually.ts';
import { FeedRelay } from './feed-relay.ts';
import { Gateway, type GatewayOptions } from './gateway.ts';
import type { Lab } from './lab.ts';
import { gatewayPeer, type Peer } from './peer.ts';
import { diffOf, sadOf } from './reports.ts';
import type { Scene } from './scene.ts';
import { mergeSettings } from './settings.ts';
import type { ListedChildSa } from './swanctl.ts';

/** The product at both sites, each open to look into. */
export type GatewayPair = Scene & {
  readonly other: Gateway;
  /** Refusals of the dataplane at our end. */
  readonly drills: DrillsFile;
};

/** A step of a CHILD_SA's installation, as the dataplane sees it. */
export type InstallStep = `${'inbound' | 'outbound'} ${'SA' | 'policy'}`;

/** What the dataplane is to refuse from now on. */
export class DrillsFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Refuses this step and no other, `count` times or for good. */
  async refuse(step: InstallStep, refusal: { code: string; message: string; count?: number }): Promise<void> {
    const [direction, what] = step.split(' ');
    const operation = what === 'SA' ? 'add_sa' : 'put_policy';
    await writeFile(this.path, stringify({ refuse: [{ operation, direction, ...refusal }] }));
  }

  /** Refuses nothing. */
  async clear(): Promise<void> {
    await writeFile(this.path, '');
  }
}

/** A replaced inbound SA goes after one second, so that a test need not wait five to see it gone. */
const BRIEF = { delete_rekeyed_delay: 1 };

/** Both ends get charon's settings and the log level, only ours the rest. */
export async function startGatewayPair(lab: Lab, options: GatewayOptions = {}): Promise<GatewayPair> {
  const { left, right } = await lab.pair();
  const drills = new DrillsFile(join(left.dir, 'drills.yaml'));
  const extra = mergeSettings(BRIEF, options.extra ?? {});
  const common = { extra, ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }) };
  const dataplaneOverrides = { ...options.dataplaneOverrides, drillsFile: drills.path };
  const [gateway, other] = await Promise.all([
    Gateway.start(lab, left, { ...options, extra, dataplaneOverrides }),
    Gateway.start(lab, right, common),
  ]);
  return {
    lab,
    gateway,
    other,
    drills,
    ours: gatewayPeer(gateway),
    peer: gatewayPeer(other),
    guest: undefined,
  };
}

/** As `startGatewayPair`, with a relay between our charon and our agent. */
export async function startRelayedPair(lab: Lab): Promise<GatewayPair & { readonly relay: FeedRelay }> {
  const relay = lab.use(
    await FeedRelay.listen(join(lab.dir, 'relay.lagopus'), join(lab.dir, 'left', 'charon.lagopus')),
  );
  const pair = await startGatewayPair(lab, { agentOverrides: { plugin: { socket: relay.path } } });
  return { ...pair, relay };
}

/**
 * Both ends have so many CHILD_SAs, the same ones, and nothing in either dataplane belongs to none: SAs,
 * policies, and what the agents compare. Waits for what is under way.
 *
 * @throws AssertionError naming the difference that lasted.
 */
export async function assertSettled(pair: GatewayPair, count: number): Promise<void> {
  let difference: unknown;
  const isSettled = async (): Promise<boolean> => {
    try {
      await assertSettledNow(pair, count);
      return true;
    } catch (error) {
      difference = error;
      return false;
    }
  };
  await eventually(`both ends have ${count} CHILD_SAs`, isSettled, { timeoutMs: 15_000 }).catch(() => {
    throw difference;
  });
}

async function assertSettledNow({ ours, peer, gateway, other }: GatewayPair, count: number): Promise<void> {
  const [own, theirs] = await Promise.all([ours.swanctl.childSas(), peer.swanctl.childSas()]);
  assert.equal(own.length, count, 'CHILD_SAs');
  assert.deepEqual(own.map(({ spiIn }) => spiIn).sort(), theirs.map(({ spiOut }) => spiOut).sort());
  assert.deepEqual(own.map(({ spiOut }) => spiOut).sort(), theirs.map(({ spiIn }) => spiIn).sort());
  await Promise.all([assertHoldsNoMore(gateway, own), assertHoldsNoMore(other, theirs)]);
}

/** The dataplane sends and receives on what charon lists, and on nothing else. */
async function assertHoldsNoMore(gateway: Gateway, listed: readonly ListedChildSa[]): Promise<void> {
  const { sas, policies } = await sadOf(gateway);
  const hex = (spi: number): string => spi.toString(16).padStart(8, '0');
  const held = sas.map(({ direction, spi }) => `${direction} ${spi}`);
  const wanted = listed.flatMap(({ spiIn, spiOut }) => [`inbound ${hex(spiIn)}`, `outbound ${hex(spiOut)}`]);
  assert.deepEqual(held.sort(), wanted.sort(), `SAs at ${gateway.site.name}`);
  const outbound = policies.filter(({ direction }) => direction === 'outbound').map(({ action }) => action);
  const sending = listed.map(({ spiOut }) => `esp ${hex(spiOut)}`);
  assert.deepEqual(outbound.sort(), sending.sort(), `outbound policies at ${gateway.site.name}`);
  assert.equal(policies.length, 2 * listed.length, `policies at ${gateway.site.name}`);
  assert.deepEqual(await diffOf(gateway), { isInSync: true, entries: [] }, `diff at ${gateway.site.name}`);
}

/**
 * What a charon logs after `act` began, as soon as it matches.
 *
 * @throws Error with all it logged, when nothing matches.
 */
export async function logsDuring(
  { charonLog, site }: Peer,
  pattern: RegExp,
  act: () => Promise<unknown>,
): Promise<RegExpExecArray> {
  const { length } = await charonLog();
  await act();
  const added = async (): Promise<string> => (await charonLog()).slice(length);
  const find = async (): Promise<RegExpExecArray | undefined> => pattern.exec(await added()) ?? undefined;
  return await eventually(`${pattern} in the log of ${site.name}`, find).catch(async (cause: unknown) => {
    throw new Error(await added(), { cause });
  });
}
