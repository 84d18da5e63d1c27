import {
  Direction as ContractDirection,
  DscpCopy,
  Feature,
  type Lifetime,
  Mode,
  Protocol,
  ResultCode,
  type Sa,
  type SaId,
  type UdpEncapsulation,
} from '../../proto/index.ts';
import { Refusal, refuseFeature } from '../../server/index.ts';
import { SecretBytes } from '../../util/index.ts';
import type { Direction } from '../slots/index.ts';
import { formatIpv4, type Ipv4, parseIpv4 } from './address.ts';
import { checkAlgorithms, type Via } from './algorithms.ts';
import { checkScope, withoutScope } from './scope.ts';

export const MIN_SPI = 256;

/** What of the contract's optional parts a vsw behind this driver does. */
export const supportedFeatures: readonly Feature[] = [
  Feature.FEATURE_UDP_ENCAPSULATION,
  Feature.FEATURE_VRF,
  Feature.FEATURE_LIFETIME_TIME,
];

/** An SA's identity, checked. */
export type SaName = { readonly direction: Direction; readonly spi: number; readonly destination: Ipv4 };

/** An SA to be installed, checked against everything vsw can and cannot do. */
export type SaRequest = {
  /** As it came, without keys. */
  readonly listed: Sa;
  readonly name: SaName;
  readonly vrf: string;
  readonly source: Ipv4;
  readonly encryption: number;
  readonly encryptionKey: SecretBytes;
  /** 0 with an AEAD. */
  readonly integrity: number;
  readonly integrityKey: SecretBytes;
  readonly udp: UdpEncapsulation | undefined;
  /** 0 is no limit. */
  readonly softSeconds: number;
  readonly hardSeconds: number;
};

export function invalid(message: string): Refusal {
  return new Refusal(ResultCode.RESULT_CODE_INVALID, message);
}

export function parseDirection(direction: ContractDirection): Direction {
  if (direction === ContractDirection.DIRECTION_INBOUND) return 'inbound';
  if (direction === ContractDirection.DIRECTION_OUTBOUND) return 'outbound';
  throw invalid(`unknown direction ${direction}`);
}

export function checkProtocol(protocol: Protocol): void {
  if (protocol === Protocol.PROTOCOL_ESP) return;
  throw new Refusal(
    ResultCode.RESULT_CODE_UNSUPPORTED_PROTOCOL,
    `IPsec protocol ${protocol}${protocol === Protocol.PROTOCOL_AH ? ' (AH)' : ''} is not supported by vsw, only ESP`,
  );
}

export function checkMode(mode: Mode): void {
  if (mode === Mode.MODE_TUNNEL) return;
  throw new Refusal(
    ResultCode.RESULT_CODE_UNSUPPORTED_MODE,
    `mode ${mode} is not supported by vsw, only tunnel mode (${Mode.MODE_TUNNEL})`,
  );
}

/** @throws Refusal when one is not implemented, unknown ones included. */
export function checkRequiredFeatures(required: readonly Feature[]): void {
  for (const feature of required) {
    refuseFeature(
      !supportedFeatures.includes(feature),
      feature,
      reasons.get(feature) ?? 'vsw does not have it',
    );
  }
}

/** What to do about those that charon asks for unless it is told otherwise. */
const reasons: ReadonlyMap<Feature, string> = new Map([
  [Feature.FEATURE_COPY_DF, 'vsw does not copy the DF bit: set copy_df = no'],
  [Feature.FEATURE_COPY_ECN, 'vsw does not copy ECN: set copy_ecn = no'],
  [Feature.FEATURE_COPY_DSCP, 'vsw copies no DSCP by SA: set copy_dscp = no'],
  [Feature.FEATURE_ACQUIRE, 'vsw’s policies need an SA: no trap (start_action = start, not trap)'],
  [Feature.FEATURE_BYPASS, 'vsw’s policies protect or discard'],
  [Feature.FEATURE_ESN, 'vsw’s sequence numbers have 32 bits'],
  [Feature.FEATURE_LIFETIME_BYTES, 'vsw never ends an SA by its bytes'],
  [Feature.FEATURE_LIFETIME_PACKETS, 'vsw does not count packets of an SA'],
]);

export function refuseOtherScopes(scope: { interface: string; label: Uint8Array }): void {
  refuseFeature(scope.interface !== '', Feature.FEATURE_INTERFACE, 'vsw has no policies by interface');
  refuseFeature(scope.label.length > 0, Feature.FEATURE_LABEL, 'vsw has no security labels');
}

/** @throws Refusal */
export function parseSaName(id: SaId | undefined): SaName {
  if (id === undefined) throw invalid('the SA has no id');
  checkProtocol(id.protocol);
  if (id.spi < MIN_SPI) throw invalid(`SPI ${id.spi} is reserved (RFC 4303, 2.1)`);
  return {
    direction: parseDirection(id.direction),
    spi: id.spi,
    destination: parseIpv4(id.destination, 'outer destination'),
  };
}

/** "inbound ESP SA c0ffee00 to 198.18.0.1", for messages and logs. */
export function describeSa({ direction, spi, destination }: SaName): string {
  return `${direction} ESP SA ${spi.toString(16).padStart(8, '0')} to ${formatIpv4(destination)}`;
}

function parseUdp(udp: UdpEncapsulation | undefined): UdpEncapsulation | undefined {
  if (udp === undefined) return undefined;
  for (const port of [udp.sourcePort, udp.destinationPort]) {
    if (port < 1 || port > 65535) throw invalid(`UDP encapsulation: port ${port} is not one`);
  }
  return udp;
}

function refuseUnimplemented(sa: Sa): void {
  refuseFeature(sa.esn, Feature.FEATURE_ESN, reasons.get(Feature.FEATURE_ESN) ?? '');
  refuseFeature(sa.initialSequence > 1n, Feature.FEATURE_INITIAL_SEQUENCE, 'vsw begins every SA at 1');
  refuseFeature(sa.replayState !== undefined, Feature.FEATURE_REPLAY_STATE, 'vsw has no anti-replay');
  if (sa.replayWindow > 0) {
    throw new Refusal(
      ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE,
      `replay_window: vsw has no anti-replay, so that a window of ${sa.replayWindow} packets would be a ` +
        'promise nobody keeps: set replay_window = 0',
    );
  }
  refuseFeature((sa.setMark?.mask ?? 0) !== 0, Feature.FEATURE_SET_MARK, 'vsw has no marks');
  refuseFeature(sa.ifIdOut !== 0, Feature.FEATURE_IF_ID, 'vsw has no if_ids');
  refuseOtherScopes(sa);
  refuseFeature(sa.copyDf, Feature.FEATURE_COPY_DF, reasons.get(Feature.FEATURE_COPY_DF) ?? '');
  refuseFeature(sa.copyEcn, Feature.FEATURE_COPY_ECN, reasons.get(Feature.FEATURE_COPY_ECN) ?? '');
  refuseFeature(
    sa.copyDscp !== DscpCopy.DSCP_COPY_UNSPECIFIED && sa.copyDscp !== DscpCopy.DSCP_COPY_NO,
    Feature.FEATURE_COPY_DSCP,
    reasons.get(Feature.FEATURE_COPY_DSCP) ?? '',
  );
  refuseFeature(sa.tfc !== 0, Feature.FEATURE_TFC, 'vsw does not pad');
  refuseFeature(sa.cpu !== 0, Feature.FEATURE_CPU, 'vsw chooses its cores itself');
  refuseFeature(sa.ipcomp !== 0, Feature.FEATURE_IPCOMP, 'vsw does not compress');
  refuseFeature(sa.hwOffload, Feature.FEATURE_HW_OFFLOAD, 'vsw chooses its crypto devices itself');
}

/** Limits of bytes and packets would never end an SA. */
function secondsOf(lifetime: Lifetime | undefined): number {
  if (lifetime === undefined) return 0;
  const lacks = reasons.get(Feature.FEATURE_LIFETIME_BYTES) ?? '';
  refuseFeature(lifetime.bytes !== 0n, Feature.FEATURE_LIFETIME_BYTES, lacks);
  refuseFeature(
    lifetime.packets !== 0n,
    Feature.FEATURE_LIFETIME_PACKETS,
    'vsw does not count packets of an SA',
  );
  if (lifetime.seconds > 0x7fffffffn)
    throw invalid(`a lifetime of ${lifetime.seconds} s does not fit into vsw`);
  return Number(lifetime.seconds);
}

export type SaContext = {
  readonly via: Via;
  /** The VRF of vsw that a name in the contract means. @throws Refusal */
  readonly vrfOf: (name: string) => string;
};

const noKey = Buffer.alloc(0);

/**
 * Copies the keys.
 * @throws Refusal naming the first thing that cannot be done
 */
export function parseSaRequest(sa: Sa | undefined, { via, vrfOf }: SaContext): SaRequest {
  if (sa === undefined) throw invalid('add_sa without an SA');
  const name = parseSaName(sa.id);
  checkMode(sa.mode);
  checkScope(sa.id ?? { ifId: 0 }, sa.innerVrf);
  checkRequiredFeatures(withoutScope(sa.requiredFeatures, sa.innerVrf));
  refuseUnimplemented(sa);
  checkAlgorithms(via, sa.encryption, sa.encryptionKey.length, sa.integrity, sa.integrityKey.length);
  const outerVrf = sa.id?.outerVrf ?? '';
  const vrf = vrfOf(sa.innerVrf);
  refuseFeature(
    outerVrf !== '' && vrfOf(outerVrf) !== vrf,
    Feature.FEATURE_VRF,
    'vsw keeps inner and outer packets in one VRF',
  );
  return {
    listed: { ...sa, encryptionKey: noKey, integrityKey: noKey },
    name,
    vrf,
    source: parseIpv4(sa.source, 'outer source'),
    encryption: sa.encryption,
    encryptionKey: new SecretBytes(sa.encryptionKey),
    integrity: sa.integrity,
    integrityKey: new SecretBytes(sa.integrityKey),
    udp: parseUdp(sa.udpEncapsulation),
    softSeconds: secondsOf(sa.softLifetime),
    hardSeconds: secondsOf(sa.hardLifetime),
  };
}
