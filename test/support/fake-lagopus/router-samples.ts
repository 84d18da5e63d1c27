/** Configuration of a router with these VRFs, each with an outer and a tunnel interface. */
export function routerConfig(...vrfs: readonly string[]): readonly string[] {
  return vrfs.flatMap((vrf, at) => [
    `set interfaces interface if${at} config driver dpdk`,
    `set interfaces interface if${at} config enabled true`,
    `set interfaces interface tif${at} config driver local`,
    `set interfaces interface tif${at} config type tunnel`,
    `set interfaces interface tif${at} config enabled true`,
    `set interfaces interface tif${at} subinterfaces subinterface 0 config enabled true`,
    `set interfaces interface tif${at} subinterfaces subinterface 0 tunnel config security ipsec`,
    `set network-instances network-instance ${vrf} config type L3VRF`,
    `set network-instances network-instance ${vrf} config enabled true`,
    `set network-instances network-instance ${vrf} interfaces interface if${at} subinterface 0`,
    `set network-instances network-instance ${vrf} interfaces interface tif${at} subinterface 0`,
  ]);
}

/** As `routerConfig`, with tunnels that name the VRF of their outer packets, as a real router's do. */
export function homedRouterConfig(...vrfs: readonly string[]): readonly string[] {
  const homes = vrfs.map(
    (vrf, at) =>
      `set interfaces interface tif${at} subinterfaces subinterface 0 tunnel config network-instance ${vrf}`,
  );
  return [...homes, ...routerConfig(...vrfs)];
}

const SAD = (vrf: string, spi: number): string =>
  `network-instances network-instance ${vrf} security ipsec sad sad-entries ${spi}`;
const SPD = (vrf: string, name: string): string =>
  `network-instances network-instance ${vrf} security ipsec spd spd-entries ${name}`;

export type SampleSa = {
  readonly vrf?: string;
  readonly spi: number;
  readonly local?: string;
  readonly remote?: string;
  /** 40 hex digits. */
  readonly key?: string;
  readonly seconds?: number;
};

/** `set` lines of a whole AES-128-GCM SA. */
export function sampleSa({ vrf = 'vrf1', spi, local, remote, key, seconds }: SampleSa): readonly string[] {
  const path = `set ${SAD(vrf, spi)} config`;
  return [
    `${path} sa-mode tunnel`,
    `${path} local-peer ipv4-address ${local ?? '198.18.0.1'}`,
    `${path} remote-peer ipv4-address ${remote ?? '198.18.0.2'}`,
    `${path} esp encryption aes-128-gcm key-str ${key ?? sampleKey(spi)}`,
    ...(seconds === undefined ? [] : [`${path} life-time life-time-in-seconds ${seconds}`]),
  ];
}

/** A key of its own for each SPI. */
export function sampleKey(spi: number): string {
  return spi.toString(16).padStart(40, '0');
}

export function deleteSa(spi: number, vrf = 'vrf1'): string {
  return `delete ${SAD(vrf, spi)}`;
}

export type SampleSp = {
  readonly vrf?: string;
  readonly name: string;
  readonly spi: number;
  readonly direction?: 'inbound' | 'outbound';
  readonly source?: string;
  readonly destination?: string;
  readonly priority?: number;
  readonly policy?: 'protect' | 'discard';
};

/** `set` lines of a whole policy between two /24. */
export function sampleSp(sp: SampleSp): readonly string[] {
  const path = `set ${SPD(sp.vrf ?? 'vrf1', sp.name)} config`;
  const isInbound = sp.direction === 'inbound';
  return [
    `${path} spi ${sp.spi}`,
    `${path} direction ${sp.direction ?? 'outbound'}`,
    `${path} priority ${sp.priority ?? 100}`,
    `${path} policy ${sp.policy ?? 'protect'}`,
    `${path} security-protocol esp`,
    `${path} upper-protocol any`,
    `${path} source-address ipv4-address ${sp.source ?? (isInbound ? '198.19.2.0' : '198.19.1.0')}`,
    `${path} source-address prefix-length 24`,
    `${path} destination-address ipv4-address ${sp.destination ?? (isInbound ? '198.19.1.0' : '198.19.2.0')}`,
    `${path} destination-address prefix-length 24`,
  ];
}

export function deleteSp(name: string, vrf = 'vrf1'): string {
  return `delete ${SPD(vrf, name)}`;
}
