import {
  CharonDaemon,
  Gateway,
  type Lab,
  type PacketEnd,
  type Settings,
  type Site,
} from '../../test/support/index.ts';

/** The implementation every figure is compared with. */
export const PEER_NAME = 'kernel-libipsec';

/** A gateway of real processes at one site of a lab; as a PacketEnd, the inner host behind it. */
export type MeasuredGateway = PacketEnd & {
  readonly site: Site;
  readonly charon: CharonDaemon;
  /** The process that encrypts and decrypts. */
  readonly dataplanePid: number;
  /** Every process of the gateway. */
  readonly pids: readonly number[];
};

/** Starts a gateway and gives its processes to the lab. */
export type StartGateway = (lab: Lab, site: Site) => Promise<MeasuredGateway>;

/** What both kinds of charon are given, so that they differ in nothing but the backend. */
const CHARON_OPTIONS: { readonly logLevels: { readonly default: number }; readonly extra: Settings } = {
  logLevels: { default: 0 },
  extra: {
    // What the project's own snippet sets, for charons that do not read it.
    ikesa_table_size: 4096,
    ikesa_table_segments: 16,
    // A burst of initiators is not an attack,
    dos_protection: false,
    // and a busy machine is not a lost packet.
    retransmit_timeout: 4,
  },
};

/** A stock charon that does ESP itself. */
export const startLibipsecGateway: StartGateway = async (lab, site) => {
  const { namespace, dir, inner: address } = site;
  const charon = lab.use(
    await CharonDaemon.start({ namespace, dir, backend: 'libipsec', ...CHARON_OPTIONS }),
  );
  const { pid } = charon.process;
  return { site, charon, namespace, address, dataplanePid: pid, pids: [pid] };
};

/** charon with kernel-lagopus, agent and dataplane. */
export const startLagopusGateway: StartGateway = (lab, site) => startProduct(lab, site, {});

/** The same, the agent reaching charon's plugin through another socket: a FeedTap's. */
export function startTappedGateway(pluginSocket: string): StartGateway {
  return (lab, site) => startProduct(lab, site, { plugin: { socket: pluginSocket } });
}

async function startProduct(
  lab: Lab,
  site: Site,
  agentOverrides: Readonly<Record<string, unknown>>,
): Promise<MeasuredGateway> {
  const { charon, agent, dataplane } = await Gateway.start(lab, site, {
    ...CHARON_OPTIONS,
    logLevel: 'warn',
    agentOverrides,
  });
  const { namespace, inner: address } = site;
  const dataplanePid = dataplane.process.pid;
  const pids = [charon.process.pid, agent.process.pid, dataplanePid];
  return { site, charon, namespace, address, dataplanePid, pids };
}
