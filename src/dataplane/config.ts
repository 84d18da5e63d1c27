import { z } from 'zod';

const absolutePath = z.string().startsWith('/', 'expected an absolute path');

const listenUri = z
  .string()
  .regex(/^(unix:\/\/\/.+|tcp:\/\/.+:\d+)$/, 'expected unix:///path or tcp://host:port');

/** The dataplane's configuration file. Every key is optional. */
export const dataplaneConfigSchema = z
  .strictObject({
    listen: listenUri.default('unix:///run/lagopus-ipsec/dataplane.sock'),
    /** For TCP: the server's certificate, and the CA of the clients it answers. PEM files. */
    tls: z.strictObject({ ca: absolutePath, cert: absolutePath, key: absolutePath }).optional(),
    /** Speak plain TCP. Keys cross the network in clear. */
    insecure: z.boolean().default(false),
    /** The device into which traffic to be protected is routed. */
    tun: z
      .strictObject({
        name: z
          .string()
          .regex(/^[^\s/]{1,15}$/, 'expected an interface name of 1 to 15 characters')
          .default('ipsec0'),
        /** 1400 leaves room for every encapsulation on a path of 1500. */
        mtu: z.int().min(576).max(9216).default(1400),
        /** Keep the device, and the routes through it, when this process ends: nothing then leaves in clear. */
        persist: z.boolean().default(true),
      })
      .prefault({}),
    /** Mark of what is sent to peers and of bypassed packets, so that routing keeps them out of the TUN device. */
    fwmark: z.int().min(0).max(0xffffffff).default(66),
    /** The UDP port on which peers send encapsulated ESP; charon owns its socket. */
    udpEncapPort: z.int().min(1).max(65535).default(4500),
    maxSas: z.int().min(1).max(1_000_000).default(100_000),
    maxPolicies: z.int().min(1).max(1_000_000).default(100_000),
    /** How many events are kept for watchers that come back. */
    eventHistory: z.int().min(16).max(1_000_000).default(4096),
    /** For drills: a YAML file that says which operations to refuse; it may come, change and go at any time. */
    drillsFile: absolutePath.optional(),
    log: z
      .strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info') })
      .prefault({}),
  })
  .superRefine((config, context) => {
    if (!config.listen.startsWith('tcp:') || config.tls !== undefined || config.insecure) return;
    context.addIssue({
      code: 'custom',
      path: ['tls'],
      message:
        'listening on TCP needs tls: { ca, cert, key }, because keys cross the network (or insecure: true)',
    });
  });

export type DataplaneConfig = z.output<typeof dataplaneConfigSchema>;
