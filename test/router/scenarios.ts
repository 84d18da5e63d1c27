import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import {
  CHILD_NAME,
  type CharonDaemon,
  CommandError,
  eventually,
  replacingChildSa,
} from '../support/index.ts';
import type { Rig } from './rig.ts';
import type { Scenario } from './scenario.ts';
import { sendOut, Traffic } from './traffic.ts';
import {
  allArrived,
  noneArrived,
  nothingInClear,
  type SaNames,
  sameSas,
  secondsText,
  type Verdict,
} from './verdict.ts';
import { countWire } from './wire-counts.ts';

const CLOSED_PACKETS = 100;
const BOTH_WAYS_PACKETS = 200;
const SETUP_TIMEOUT_MS = 30_000;
/** One that finds its SPI's slot taken is tried again by charon, after some 13 s. */
const REKEY_TIMEOUT_MS = 40_000;
/** charon has to rekey. */
const BACK_TIMEOUT_MS = 60_000;
const SAD_TIMEOUT_MS = 20_000;
/** charon deletes a replaced inbound SA after 5 s: the flood goes on beyond that. */
const AFTER_REKEY_MS = 7_000;
const MOMENT_MS = 2_000;

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'no agent yet: nothing passes',
    run: async ({ network }) => noneArrived(await sendOut(network, CLOSED_PACKETS)),
  },
  {
    name: 'agent starts, no tunnel yet: nothing passes',
    isNeeded: true,
    run: async (rig) => {
      await rig.startAgent();
      await rig.loadTunnel();
      return noneArrived(await sendOut(rig.network, CLOSED_PACKETS));
    },
  },
  { name: 'tunnel set up', run: setUp, isNeeded: true },
  { name: 'packets both ways', run: bothWays },
  { name: 'sad is charon’s', run: compareSads },
  { name: 'rekeying by the router', run: (rig) => underFlood(rig, () => rekey(rig, 'router')) },
  { name: 'rekeying by the peer', run: (rig) => underFlood(rig, () => rekey(rig, 'peer')) },
  { name: 'sad is charon’s, rekeyed', run: compareSads },
  { name: 'agent killed and started', run: (rig) => underFlood(rig, () => rig.restartAgent()) },
  { name: 'driver restarted: vsw is deaf', run: (rig) => underFlood(rig, () => rig.restartDriver()) },
  { name: 'deaf: rekeying by the router', run: (rig) => underFlood(rig, () => rekey(rig, 'router')) },
  { name: 'deaf: rekeying by the peer', run: (rig) => underFlood(rig, () => rekey(rig, 'peer')) },
  { name: 'deaf: sad is charon’s', run: compareSads },
  { name: 'deaf: terminated, SADs empty, nothing passes', run: terminate },
  { name: 'deaf: tunnel set up', run: setUp },
  { name: 'deaf: packets both ways', run: bothWays },
  { name: 'vsw killed and started: traffic is back', run: restartVsw },
  { name: 'new vsw: packets both ways', run: bothWays },
  { name: 'new vsw: sad is charon’s', run: compareSads },
  { name: 'new vsw: terminated, SADs empty, nothing passes', run: terminate },
  {
    name: 'the wire, all the time',
    isAlways: true,
    run: async ({ wire }) => nothingInClear(countWire(await wire.ipPackets())),
  },
];

async function setUp(rig: Rig): Promise<Verdict> {
  await using traffic = await Traffic.start(rig.network);
  const startedMs = performance.now();
  // One in 64 finds its SPI's slot taken: then the agent has it initiated again.
  await rig.charon.swanctl.initiate(CHILD_NAME).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
  });
  const initiatedMs = performance.now();
  await traffic.nextArrivals(SETUP_TIMEOUT_MS);
  const [ike, packets] = [initiatedMs - startedMs, performance.now() - startedMs].map(secondsText);
  return { held: true, figures: `charon answered after ${ike}, packets both ways after ${packets}` };
}

async function bothWays({ network }: Rig): Promise<Verdict> {
  await using traffic = await Traffic.start(network, BOTH_WAYS_PACKETS);
  return allArrived(await traffic.finish());
}

async function underFlood({ network }: Rig, action: () => Promise<void>): Promise<Verdict> {
  await using traffic = await Traffic.start(network);
  await traffic.nextArrivals(SETUP_TIMEOUT_MS);
  const startedMs = performance.now();
  await action();
  const took = secondsText(performance.now() - startedMs);
  await setTimeout(AFTER_REKEY_MS);
  return allArrived(await traffic.finish(), `done after ${took}`);
}

async function rekey({ charon, peer }: Rig, by: 'router' | 'peer'): Promise<void> {
  const [self, other] = by === 'router' ? [charon, peer.charon] : [peer.charon, charon];
  const replace = (): Promise<unknown> => self.swanctl.rekey({ child: CHILD_NAME });
  await replacingChildSa([self, other], replace, REKEY_TIMEOUT_MS);
}

async function compareSads({ charon, agent }: Rig): Promise<Verdict> {
  let last: Verdict = { held: false, figures: 'not asked' };
  await eventually(
    'sad is charon’s',
    async () => {
      last = sameSas(await charonsSas(charon), await shownSas(agent));
      return last.held;
    },
    { timeoutMs: SAD_TIMEOUT_MS, intervalMs: 500 },
  ).catch(() => undefined);
  return last;
}

async function terminate(rig: Rig): Promise<Verdict> {
  const startedMs = performance.now();
  await rig.charon.swanctl.terminate({ child: CHILD_NAME });
  await eventually(
    'empty SADs',
    async () => {
      const lists = [shownSas(rig.agent), shownSas(rig.peer.agent), charonsSas(rig.charon)];
      return (await Promise.all(lists)).every((names) => names.length === 0);
    },
    { timeoutMs: SAD_TIMEOUT_MS, intervalMs: 100 },
  );
  const empty = secondsText(performance.now() - startedMs);
  return noneArrived(await sendOut(rig.network, CLOSED_PACKETS), `empty after ${empty}`);
}

async function restartVsw(rig: Rig): Promise<Verdict> {
  await using traffic = await Traffic.start(rig.network);
  await traffic.nextArrivals(SETUP_TIMEOUT_MS);
  await rig.killVsw();
  await setTimeout(MOMENT_MS);
  const startedMs = performance.now();
  const starting = rig.startVsw();
  const [, back] = await Promise.all([
    starting,
    traffic.nextArrivals(BACK_TIMEOUT_MS).then(() => performance.now()),
  ]);
  return { held: true, figures: `both ways ${secondsText(back - startedMs)} after its start` };
}

/** charon's CHILD_SAs, the inbound SA of each before its outbound one. */
async function charonsSas({ swanctl }: CharonDaemon): Promise<SaNames> {
  const children = await swanctl.childSas();
  return children.flatMap(({ spiIn, spiOut }) => [saName('inbound', spiIn), saName('outbound', spiOut)]);
}

const sadSchema = z.object({
  sas: z.array(z.object({ direction: z.enum(['inbound', 'outbound']), spi: z.string() })),
});

async function shownSas(agent: Rig['agent']): Promise<SaNames> {
  const { sas } = sadSchema.parse(await agent.ask('sad'));
  return sas.map(({ direction, spi }) => saName(direction, Number.parseInt(spi, 16)));
}

function saName(direction: 'inbound' | 'outbound', spi: number): string {
  return `${direction} ${spi.toString(16).padStart(8, '0')}`;
}
