import { z } from 'zod';
import { absolutePath, listenFields, listenProblemOf } from '../server/index.ts';

const hostPort = z.string().regex(/^[^\s/]+:\d{1,5}$/, 'expected host:port');

/** vsw's own name for a VRF's PF_KEY socket. */
function defaultPfkeySocket(vrf: string): string {
  return `/var/tmp/lagopus-${vrf}.sock`;
}

const vrf = z
  .strictObject({
    /** As vsw's configuration names the network instance. */
    name: z.string().regex(/^[^\s/]{1,64}$/, 'expected a name without blanks'),
    pfkeySocket: absolutePath.optional(),
  })
  .transform(({ name, pfkeySocket }) => ({ name, pfkeySocket: pfkeySocket ?? defaultPfkeySocket(name) }));

const upstream = z.union(
  [
    z.strictObject({
      openconfigd: hostPort,
      /** Which releases number messages alike; `as-vsw`: openconfigd and vsw were built with the same ones. */
      messages: z.enum(['as-vsw', '0.8.0-0.8.2', '0.8.3']).default('as-vsw'),
    }),
    z.strictObject({ file: absolutePath }),
  ],
  'expected { openconfigd: host:port } or { file: /path }',
);

/** The driver's configuration file. */
export const vswConfigSchema = z
  .strictObject({
    ...listenFields('unix:///run/lagopus-ipsec/dataplane.sock'),
    /** The VRFs that carry tunnels. The first one is that of tunnels no VRF is named for. */
    vrfs: z.array(vrf).min(1, 'expected the VRFs that carry tunnels').max(64),
    via: z.enum(['relay', 'pfkey']).default('relay'),
    relay: z
      .strictObject({
        /** What vsw.conf names as openconfigd. */
        listen: hostPort.default('127.0.0.1:2660'),
        upstream: upstream.prefault({ openconfigd: '127.0.0.1:2650' }),
      })
      .optional(),
    journal: absolutePath.default('/var/lib/lagopus-ipsec/vsw-journal.json'),
    /** Where `ipsec-agent vsw --status` asks. */
    statusSocket: absolutePath.default('/run/lagopus-ipsec/vsw-status.sock'),
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
    for (const [index, { name }] of config.vrfs.entries()) {
      if (names.has(name)) {
        context.addIssue({ code: 'custom', path: ['vrfs', index], message: `${name} is there twice` });
      }
      names.add(name);
    }
    if (config.via === 'pfkey' && config.relay !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['relay'],
        message: 'belongs to via: relay; with via: pfkey vsw subscribes to openconfigd itself',
      });
    }
  });

export type VswConfig = z.output<typeof vswConfigSchema>;

/** What `via: relay` has when the file says nothing. */
export const defaultRelay: NonNullable<VswConfig['relay']> = {
  listen: '127.0.0.1:2660',
  upstream: { openconfigd: '127.0.0.1:2650', messages: 'as-vsw' },
};
