import { z } from 'zod';
import { absolutePath, listenFields, listenProblemOf } from '../server/index.ts';

const hostPort = z.string().regex(/^[^\s/]+:\d{1,5}$/, 'expected host:port');

/** A network instance of vsw, which takes no other names. */
const vrfName = z
  .string()
  .regex(/^vrf\d{1,9}$/, 'expected a name as vsw takes it: vrf and a number, as vrf1');

const relay = z.strictObject({
  /** What vsw.conf names as openconfigd. */
  listen: hostPort.default('127.0.0.1:2660'),
  /** The real openconfigd. */
  openconfigd: hostPort.optional(),
  /** Releases that number messages alike; `as-vsw`: openconfigd and vsw were built with the same ones. */
  messages: z.enum(['as-vsw', '0.8.0-0.8.2', '0.8.3']).default('as-vsw'),
  /** Tunnel interfaces stay closed in a vsw that has started, until an agent has brought what charon has. */
  holdTunnels: z.boolean().default(true),
  /** In openconfigd's place: `set` lines, as its `commands` prints them. */
  routerFile: absolutePath.optional(),
});

/** The driver's configuration file. */
export const vswConfigSchema = z
  .strictObject({
    ...listenFields('unix:///run/lagopus-ipsec/dataplane.sock'),
    /** The VRFs that carry tunnels. The first one is that of tunnels no VRF is named for. */
    vrfs: z.array(vrfName).min(1, 'expected the VRFs that carry tunnels').max(64),
    via: z.enum(['relay', 'pfkey']).default('relay'),
    /** With `via: relay` always there; with `via: pfkey` only when it is written down. */
    relay: relay.optional(),
    /** vsw's PF_KEY sockets; VRF stands for the VRF's name. */
    pfkeySocket: absolutePath
      .regex(/VRF/, 'expected VRF in it, for the name')
      .default('/var/tmp/lagopus-VRF.sock'),
    journal: absolutePath.default('/var/lib/lagopus-ipsec/vsw-journal.json'),
    /** Where `ipsec-agent vsw --status` asks. */
    statusSocket: absolutePath.default('/run/lagopus-ipsec/vsw-status.sock'),
    /** How often it is looked for SAs of others in vsw. Each time vsw prints its whole SAD. */
    surveySeconds: z.int().min(1).max(86_400).default(60),
    /** How many events are kept for watchers that come back. */
    eventHistory: z.int().min(16).max(1_000_000).default(4096),
    log: z
      .strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info') })
      .prefault({}),
  })
  .superRefine((config, context) => {
    const listenProblem = listenProblemOf(config);
    if (listenProblem !== undefined) context.addIssue({ code: 'custom', ...listenProblem });
    const names = new Set<string>();
    for (const [index, name] of config.vrfs.entries()) {
      if (names.has(name)) {
        context.addIssue({ code: 'custom', path: ['vrfs', index], message: `${name} is there twice` });
      }
      names.add(name);
    }
    if (config.relay?.openconfigd !== undefined && config.relay.routerFile !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['relay'],
        message: 'expected openconfigd or routerFile, not both',
      });
    }
  });

export type VswConfig = z.output<typeof vswConfigSchema>;

/** Where a VRF's PF_KEY socket is. */
export function pfkeySocketOf({ pfkeySocket }: VswConfig, vrf: string): string {
  return pfkeySocket.replaceAll('VRF', vrf);
}

export type RelayConfig = NonNullable<VswConfig['relay']>;

/**
 * What is between vsw and openconfigd. With `via: pfkey` vsw may subscribe to openconfigd itself: undefined
 * then.
 */
export function relayOf({ via, relay: configured }: VswConfig): RelayConfig | undefined {
  return configured ?? (via === 'relay' ? relay.parse({}) : undefined);
}

export const DEFAULT_OPENCONFIGD = '127.0.0.1:2650';
