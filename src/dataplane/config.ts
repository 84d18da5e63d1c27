import { z } from 'zod';
import { absolutePath, listenFields, listenProblemOf, listenUri } from '../server/index.ts';
import { describeScope, noScope, parseMark, type Scope, type ScopedDevice } from './scopes.ts';

/** ENGINE_MAX_DEVICES of native/engine.h */
const MAX_DEVICES = 256;

const deviceName = z.string().regex(/^[^\s/]{1,15}$/, 'expected an interface name of 1 to 15 characters');

/** 1400 leaves room for every encapsulation on a path of 1500; `auto` follows what fits through the tunnels. */
const mtu = z
  .union([z.int().min(576).max(9216), z.literal('auto')], 'expected 576 to 9216, or auto')
  .default(1400);

const u32 = z.int().min(0).max(0xffffffff);

/** A TUN device for what has this VRF, if_id and mark. */
const tunDevice = z.strictObject({
  name: deviceName,
  mtu,
  vrf: z.string().min(1).max(64).optional(),
  ifId: u32.min(1).optional(),
  mark: z.strictObject({ value: u32, mask: u32.min(1).default(0xffffffff) }).optional(),
});

type TunDevice = z.output<typeof tunDevice>;

function scopeOf({ vrf = '', ifId = 0, mark }: TunDevice): Scope {
  return { vrf, ifId, mark: parseMark(mark) };
}

/** What is wrong with a list of further devices: the index, and the reason. */
function* deviceProblems(
  mainName: string,
  devices: readonly TunDevice[],
): Generator<readonly [index: number, message: string], void, undefined> {
  const names = new Set([mainName]);
  const scopes = new Set<string>();
  for (const [index, device] of devices.entries()) {
    const scope = describeScope(scopeOf(device));
    if (names.has(device.name)) yield [index, `${device.name} is the name of another device`];
    if (scope === '') yield [index, 'expected a vrf, ifId or mark: what has none of them is served by tun'];
    else if (scopes.has(scope)) yield [index, `another device is for ${scope} already`];
    names.add(device.name);
    scopes.add(scope);
  }
}

/** The dataplane's configuration file. Every key is optional. */
export const dataplaneConfigSchema = z
  .strictObject({
    ...listenFields('unix:///run/lagopus-ipsec/dataplane.sock'),
    /** The device into which traffic to be protected is routed. */
    tun: z
      .strictObject({
        name: deviceName.default('ipsec0'),
        mtu,
        /** Keep the devices, and the routes through them, when this process ends: nothing then leaves in clear. */
        persist: z.boolean().default(true),
      })
      .prefault({}),
    /** Devices for traffic of a VRF, an if_id or a mark (docs/design/dataplane.md, "Scopes"). */
    tunDevices: z
      .array(tunDevice)
      .max(MAX_DEVICES - 1)
      .default([]),
    /** Mark of what is sent to peers and of bypassed packets, so that routing keeps them out of the TUN device. */
    fwmark: u32.default(66),
    /** The UDP port on which peers send encapsulated ESP; charon owns its socket. */
    udpEncapPort: z.int().min(1).max(65535).default(4500),
    /**
     * What becomes of an IPv4 packet without DF that is larger than its tunnel's path takes: fragments of it are
     * encapsulated; it is, and the outer packet is fragmented; or it is dropped and its sender told, as one with DF.
     */
    fragment: z.enum(['before', 'after', 'never']).default('before'),
    /** Hold the TCP MSS option down to what fits through a tunnel. */
    clampMss: z.boolean().default(true),
    /**
     * A TAP device of this name, for tcpdump: every packet is seen there in clear, as it comes out of its SA or goes
     * into it. Off when absent.
     */
    tap: deviceName.optional(),
    /** Prometheus' text at /metrics, where somebody is to ask for it. */
    metrics: z.strictObject({ listen: listenUri }).optional(),
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
    for (const [index, message] of deviceProblems(config.tun.name, config.tunDevices)) {
      context.addIssue({ code: 'custom', path: ['tunDevices', index], message });
    }
    if (config.tap !== undefined && devicesOf(config).some(({ name }) => name === config.tap)) {
      context.addIssue({
        code: 'custom',
        path: ['tap'],
        message: `${config.tap} is the name of a TUN device`,
      });
    }
    const listenProblem = listenProblemOf(config);
    if (listenProblem !== undefined) context.addIssue({ code: 'custom', ...listenProblem });
  });

export type DataplaneConfig = z.output<typeof dataplaneConfigSchema>;

/** Every TUN device, the one without a scope first. */
export function devicesOf({
  tun,
  tunDevices,
}: DataplaneConfig): readonly (ScopedDevice & { mtu: number | 'auto' })[] {
  return [
    { name: tun.name, mtu: tun.mtu, scope: noScope },
    ...tunDevices.map((device) => ({ name: device.name, mtu: device.mtu, scope: scopeOf(device) })),
  ];
}
