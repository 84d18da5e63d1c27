/** The demo itself, a process of its own: main.ts starts it and clears up after it. */
import { mkdir } from 'node:fs/promises';
import {
  CHILD_NAME,
  CharonDaemon,
  Gateway,
  Lab,
  loadTunnel,
  type ManagedProcess,
  type Site,
  tunnelEnd,
} from '../test/support/index.ts';
import { CharonWords } from './charon-words.ts';
import { Narrator } from './narrator.ts';
import { type DemoOptions, readOptions } from './options.ts';
import { type FlowCounts, type Outcome, outcomeOf } from './outcome.ts';
import { forceRekey, formatSpi, waitOldSasGone } from './rekey.ts';
import { Traffic } from './traffic.ts';

const narrator = new Narrator();

async function tell(options: DemoOptions): Promise<Outcome> {
  if (options.keepDir !== undefined) await mkdir(options.keepDir, { recursive: true, mode: 0o700 });
  await using lab = await Lab.create(options.keepDir === undefined ? {} : { dir: options.keepDir });
  const { left, right } = await lab.pair();
  introduce(left, right);

  const gateway = await startLeft(lab, left, options);
  const peer = await startRight(lab, right, options);
  const parts = [gateway.charon, gateway.agent, gateway.dataplane, peer];
  return await Promise.race([
    carryPackets(lab, gateway, peer, right),
    ...parts.map(({ process }) => failWhenItEnds(process)),
  ]);
}

function introduce(left: Site, right: Site): void {
  narrator.say('Two IPsec gateways on this machine, in network namespaces of their own, joined by a wire:');
  narrator.quote(
    `host ${left.inner} ── left ${left.outer} ═══ IKE and ESP ═══ ${right.outer} right ── host ${right.inner}`,
  );
}

async function startLeft(lab: Lab, site: Site, { isVerbose }: DemoOptions): Promise<Gateway> {
  narrator.say('left: starting charon with the kernel-lagopus plugin, ipsec-agent and the dataplane');
  const gateway = await Gateway.start(lab, site, {
    logLevel: isVerbose ? 'trace' : 'info',
    // From level 4 on charon's other groups print keys; the plugin's own group must not.
    logLevels: isVerbose ? { default: 3, knl: 4 } : { default: 1 },
  });
  const { charon, agent, dataplane } = gateway;
  const pids = [charon, agent, dataplane].map(({ process }) => process.pid);
  narrator.say(`left: ready (charon pid ${pids[0]}, agent pid ${pids[1]}, dataplane pid ${pids[2]})`);
  return gateway;
}

async function startRight(lab: Lab, site: Site, { isVerbose }: DemoOptions): Promise<CharonDaemon> {
  narrator.say('right: starting the peer, a stock Debian charon that does ESP itself (kernel-libipsec)');
  const { namespace, dir } = site;
  const logLevels = isVerbose ? { default: 1, chd: 4 } : { default: 1 };
  const charon = await CharonDaemon.start({ namespace, dir, backend: 'libipsec', logLevels });
  return lab.use(charon);
}

async function carryPackets(
  lab: Lab,
  { site: left, charon, agent }: Gateway,
  peer: CharonDaemon,
  right: Site,
): Promise<Outcome> {
  const words = new CharonWords(charon);
  narrator.say('left and right negotiate a tunnel (IKEv2, ESP with AES-GCM in UDP); the left charon says:');
  const tunnel = { left: tunnelEnd(left), right: tunnelEnd(right), isEncapsulated: true };
  await loadTunnel(tunnel, charon.swanctl, peer.swanctl);
  await charon.swanctl.initiate(CHILD_NAME);
  narrator.quote(await words.sinceLast());

  narrator.say('the agent has filled the dataplane; `ipsec-agent sad` lists what it holds:');
  narrator.quote(await agent.show('sad'));

  narrator.say('the hosts send each other 1000 numbered packets a second; on the wire between the gateways:');
  await using traffic = await Traffic.start(left, right, lab.dir);
  narrator.quote(await packetsOnTheWire(right));
  narrator.say(await traffic.watch(1.5));

  const rekeys = [
    { by: 'left', from: charon, to: peer },
    { by: 'right', from: peer, to: charon },
  ];
  for (const { by, from, to } of rekeys) {
    narrator.say(`${by} rekeys the tunnel while packets flow; the left charon says:`);
    const spis = await forceRekey(from, to);
    narrator.quote(await words.sinceLast());
    narrator.say(
      `both ends use the new SAs: ${by} receives on ${formatSpi(spis.in)}, sends on ${formatSpi(spis.out)}`,
    );
    narrator.say(await traffic.watch(1.5));
  }

  narrator.say(
    'charon keeps a replaced inbound SA for 5 s, for packets still under way; then `ipsec-agent sad`:',
  );
  await waitOldSasGone([charon, peer]);
  narrator.quote(await agent.show('sad'));
  narrator.quote(await packetsOnTheWire(right));

  narrator.say('the senders stop; both receivers have counted:');
  const flows: readonly FlowCounts[] = await traffic.finish();
  return outcomeOf(flows, rekeys.length);
}

/** The next few packets that right's outer interface sees, in tcpdump's words. */
async function packetsOnTheWire({ namespace }: Site): Promise<string> {
  const { stdout } = await namespace.run([
    ...(['tcpdump', '-nt', '--immediate-mode'] as const),
    ...['-i', 'eth0', '-c', '4', 'udp port 4500'],
  ]);
  return stdout;
}

/** Never resolves: a daemon that is gone explains everything that goes wrong after it. */
async function failWhenItEnds(part: ManagedProcess): Promise<never> {
  const { code, signal } = await part.exited;
  throw new Error(`${part.name} ended (${signal ?? `status ${code}`})\n${(await part.log()).slice(-2_000)}`);
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if ('usage' in options) throw new Error(options.usage);
  try {
    const { line, status } = await tell(options);
    process.stdout.write(`${line}\n`);
    return status;
  } catch (error) {
    const [reason, ...details] = (error instanceof Error ? error.message : String(error)).split('\n');
    if (details.length > 0) narrator.quote(details.join('\n'));
    process.stdout.write(`demo: failed: ${reason}\n`);
    return 1;
  }
}

// What an abandoned step still waits for must not keep it alive.
process.exit(await main());
