import type { VswMachine } from './options.ts';

export const VRF = 'vrf1';
/** vsw's TAP of the tunnel interface: Linux' routes into it are vsw's. */
export const TUNNEL_DEVICE = 'tif0-0';
/** What a killed vsw leaves in its namespace. */
export const VSW_DEVICES = [VRF, 'if0-0', 'if1-0', TUNNEL_DEVICE] as const;
/** vsw's ports, by the interface of its namespace that each one is. */
export const PORTS = ['outer', 'inner'] as const;

export const ROUTER = { outer: '198.18.1.1', inner: '198.19.1.1', innerNet: '198.19.1.0/24' } as const;
export const PEER = { outer: '198.18.1.2', inner: '198.19.2.10', innerNet: '198.19.2.0/24' } as const;
/** In the router's inner network. */
export const HOST = '198.19.1.10';

const DRIVER_PORT = 2660;
const SHOW_PORT = 2653;
/** Where the driver finds a forwarded openconfigd. */
export const OPENCONFIGD_PORT = 2650;

/** The router's own configuration: two ports, and a tunnel interface between the gateways. */
export function routerLines(): string {
  const port = (name: string, device: string, address: string): readonly string[] => [
    `interface ${name} config device ${device}`,
    `interface ${name} config driver dpdk`,
    `interface ${name} config type ethernetCsmacd`,
    `interface ${name} config enabled true`,
    `interface ${name} config mtu 1500`,
    `interface ${name} subinterfaces subinterface 0 config enabled true`,
    `interface ${name} subinterfaces subinterface 0 ipv4 addresses address ${address} config prefix-length 24`,
  ];
  const tunnel = 'interface tif0 subinterfaces subinterface 0';
  const interfaces = [
    ...port('if0', 'net_af_packet0', ROUTER.outer),
    ...port('if1', 'net_af_packet1', ROUTER.inner),
    'interface tif0 config driver local',
    'interface tif0 config type tunnel',
    'interface tif0 config enabled true',
    `${tunnel} config enabled true`,
    `${tunnel} ipv4 addresses address 198.19.101.1 config prefix-length 30`,
    `${tunnel} tunnel config encaps-method direct`,
    `${tunnel} tunnel config address-type IPV4`,
    `${tunnel} tunnel config local-inet-address ${ROUTER.outer}`,
    `${tunnel} tunnel config remote-inet-address ${PEER.outer}`,
    `${tunnel} tunnel config hop-limit 64`,
    `${tunnel} tunnel config network-instance ${VRF}`,
    `${tunnel} tunnel config security ipsec`,
    `${tunnel} tunnel config tos 0`,
  ].map((line) => `interfaces ${line}`);
  const instance = [
    'config type L3VRF',
    'config enabled true',
    'config enabled-address-families IPV4',
    ...['if0', 'if1', 'tif0'].map((name) => `interfaces interface ${name} subinterface 0`),
  ].map((line) => `network-instances network-instance ${VRF} ${line}`);
  return [...interfaces, ...instance].map((line) => `set ${line}\n`).join('');
}

/** vsw's configuration file, TOML. It subscribes to the driver. */
export function vswConf({ pmdPath, vdevs, cores: [inbound, other] }: VswMachine): string {
  const ports = PORTS.map((device, index) => `net_af_packet${index},iface=${device}`);
  const tunnels = ['ipip', 'gre', 'l2gre', 'vxlan'].map((kind) => [
    `[tunnel.${kind}]`,
    `inbound_core = ${other}`,
    `outbound_core = ${other}`,
    ...(kind === 'vxlan' ? ['aging_time = 300'] : []),
  ]);
  return [
    '[agents]',
    'enable = ["netlink", "config", "debugsh", "ipsec"]',
    ...['[logging]', 'log = "stdout"'],
    '[dpdk]',
    `core_list = "${inbound},${other}"`,
    'memory_channel = 2',
    ...(pmdPath === undefined ? [] : [`pmd_path = ${JSON.stringify(pmdPath)}`]),
    ...['num_elements = 16384', 'cache_size = 256'],
    `vdevs = ${JSON.stringify([...vdevs, ...ports])}`,
    '[openconfig]',
    'server_host = "127.0.0.1"',
    `server_port = ${DRIVER_PORT}`,
    `listen_port = ${SHOW_PORT}`,
    ...['[ethdev]', `rx_core = ${other}`, `tx_core = ${other}`, 'force_linearize = true'],
    ...['[bridge]', `core = ${other}`, '[rif]', `core = ${other}`],
    '[tunnel]',
    '[tunnel.ipsec]',
    'core_bind = false',
    `inbound_core_mask = ${mask(inbound)}`,
    `outbound_core_mask = ${mask(other)}`,
    ...tunnels.flat(),
    ...['[router]', `core = ${other}`, 'rr_process_mode = "disable"'],
    '',
  ].join('\n');
}

function mask(core: number): string {
  return `0x${(1n << BigInt(core)).toString(16)}`;
}

export type DriverPaths = {
  readonly listen: string;
  readonly pfkeyDir: string;
  readonly journal: string;
  readonly statusSocket: string;
  /** Without an openconfigd. */
  readonly routerFile: string;
};

/** vsw.yaml, the driver's configuration. */
export function driverSettings(
  paths: DriverPaths,
  upstream: {
    readonly via: 'relay' | 'pfkey';
    readonly openconfigd: string | undefined;
    readonly messages: string | undefined;
  },
): Readonly<Record<string, unknown>> {
  const { openconfigd, messages, via } = upstream;
  return {
    listen: paths.listen,
    vrfs: [VRF],
    via,
    relay: {
      listen: `127.0.0.1:${DRIVER_PORT}`,
      ...(openconfigd === undefined
        ? { routerFile: paths.routerFile }
        : { openconfigd: `127.0.0.1:${OPENCONFIGD_PORT}` }),
      ...(messages === undefined ? {} : { messages }),
    },
    pfkeySocket: `${paths.pfkeyDir}/lagopus-VRF.sock`,
    journal: paths.journal,
    statusSocket: paths.statusSocket,
    surveySeconds: 2,
    log: { level: 'debug' },
  };
}
