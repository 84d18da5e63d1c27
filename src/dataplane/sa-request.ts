import {
  Direction,
  DscpCopy,
  Feature,
  type IpAddress,
  type Lifetime,
  Mode,
  Protocol,
  ResultCode,
  type Sa,
  type SaId,
  type UdpEncapsulation,
} from '../proto/index.ts';
import { Refusal, refuseFeature } from '../server/index.ts';
import { type Address, familyOf, formatAddress, isLinkLocal, parseAddress } from './address.ts';
import type { Algorithms } from './algorithms.ts';
import { checkRequiredFeatures, refuseOtherScopes } from './features.ts';
import { type DeviceIndex, parseMark, type Scope, type Scopes } from './scopes.ts';
import { parseSelector, type Selector } from './selector.ts';

export const MAX_REPLAY_WINDOW = 65536;
export const MIN_SPI = 256;
const MAX_SELECTORS = 256;

/** An SA's identity, checked. */
export type SaName = Pick<Scope, 'ifId' | 'mark'> & {
  readonly isInbound: boolean;
  readonly protocol: IpsecProtocol;
  readonly spi: number;
  readonly destination: Address;
};

export type UdpPorts = { readonly sourcePort: number; readonly destinationPort: number };

/** An SA to be added, checked against everything this dataplane can and cannot do. */
export type SaRequest = {
  /** As it came; holds the keys. */
  readonly sa: Sa;
  readonly name: SaName;
  readonly source: Address;
  readonly isTransport: boolean;
  readonly udp: UdpPorts | undefined;
  /** The TUN device of its scope. */
  readonly device: DeviceIndex;
  /** Outbound: the mark of what it sends. */
  readonly outerMark: number;
  readonly sourceSelectors: readonly Selector[];
  readonly destinationSelectors: readonly Selector[];
  readonly softLifetime: Lifetime;
  readonly hardLifetime: Lifetime;
  readonly nextSequence: bigint;
  readonly replayHighest: bigint;
  readonly replayBitmap: Uint8Array;
  readonly copyDscpOut: boolean;
  readonly copyDscpIn: boolean;
};

function invalid(message: string): Refusal {
  return new Refusal(ResultCode.RESULT_CODE_INVALID, message);
}

export function parseDirection(direction: Direction): boolean {
  if (direction === Direction.DIRECTION_INBOUND) return true;
  if (direction === Direction.DIRECTION_OUTBOUND) return false;
  throw invalid(`unknown direction ${direction}`);
}

/** What an SA can be of. */
export type IpsecProtocol = typeof Protocol.PROTOCOL_ESP | typeof Protocol.PROTOCOL_AH;

export const supportedProtocols: readonly IpsecProtocol[] = [Protocol.PROTOCOL_ESP, Protocol.PROTOCOL_AH];
export const supportedModes: readonly Mode[] = [Mode.MODE_TRANSPORT, Mode.MODE_TUNNEL];

/** @throws Refusal */
export function parseProtocol(protocol: Protocol): IpsecProtocol {
  if (protocol === Protocol.PROTOCOL_ESP || protocol === Protocol.PROTOCOL_AH) return protocol;
  throw new Refusal(
    ResultCode.RESULT_CODE_UNSUPPORTED_PROTOCOL,
    `IPsec protocol ${protocol} is not supported, only ESP (50) and AH (51)`,
  );
}

/** @throws Refusal */
export function checkMode(mode: Mode): void {
  if (supportedModes.includes(mode)) return;
  throw new Refusal(
    ResultCode.RESULT_CODE_UNSUPPORTED_MODE,
    `mode ${mode}${mode === Mode.MODE_BEET ? ' (BEET)' : ''} is not supported, only tunnel and transport mode`,
  );
}

/** @throws Refusal */
export function parseOuter(address: IpAddress | undefined, what: string): Address {
  const parsed = parseAddress(address, what);
  if (!isLinkLocal(parsed)) return parsed;
  throw new Refusal(
    ResultCode.RESULT_CODE_UNSUPPORTED_ADDRESS_FAMILY,
    `${what}: the link-local address ${formatAddress(parsed)} is of one link, and an SA does not say of which`,
  );
}

/** @throws Refusal when no outer header can have both. */
export function checkOuterPair(source: Address, destination: Address, hasIpv6: boolean): void {
  if (familyOf(source) === 6 && !hasIpv6) {
    throw new Refusal(
      ResultCode.RESULT_CODE_UNSUPPORTED_ADDRESS_FAMILY,
      `the kernel of this host has no IPv6: nothing can be sent from ${formatAddress(source)}`,
    );
  }
  if (familyOf(source) === familyOf(destination)) return;
  throw invalid(
    `the outer addresses ${formatAddress(source)} and ${formatAddress(destination)} are of two families`,
  );
}

/** @throws Refusal */
export function parseSaName(id: SaId | undefined): SaName {
  if (id === undefined) throw invalid('the SA has no id');
  const protocol = parseProtocol(id.protocol);
  refuseFeature(id.outerVrf !== '', Feature.FEATURE_VRF, 'outer packets have one routing domain');
  if (id.spi < MIN_SPI) throw invalid(`SPI ${id.spi} is reserved (RFC 4303, 2.1)`);
  return {
    isInbound: parseDirection(id.direction),
    protocol,
    spi: id.spi,
    destination: parseOuter(id.destination, 'outer destination'),
    ifId: id.ifId,
    mark: parseMark(id.mark),
  };
}

/**
 * @param encapPort the only port on which ESP in UDP is received
 * @throws Refusal
 */
export function parseUdp(
  udp: UdpEncapsulation | undefined,
  { isInbound, protocol }: Pick<SaName, 'isInbound' | 'protocol'>,
  encapPort: number,
): UdpPorts | undefined {
  if (udp === undefined) return undefined;
  refuseFeature(
    protocol === Protocol.PROTOCOL_AH,
    Feature.FEATURE_UDP_ENCAPSULATION,
    'there is none for AH (RFC 3948), whose ICV covers the addresses that a NAT changes',
  );
  const { sourcePort, destinationPort } = udp;
  for (const port of [sourcePort, destinationPort]) {
    if (port < 1 || port > 65535) throw invalid(`UDP encapsulation: port ${port} is not one`);
  }
  refuseFeature(
    isInbound && destinationPort !== encapPort,
    Feature.FEATURE_UDP_ENCAPSULATION,
    `ESP in UDP is received on port ${encapPort} only, not on ${destinationPort}`,
  );
  return { sourcePort, destinationPort };
}

function refuseUnimplemented(sa: Sa): void {
  refuseFeature(sa.ifIdOut !== 0, Feature.FEATURE_IF_ID, 'an SA has one, in its id');
  refuseOtherScopes(sa);
  refuseFeature(
    sa.tfc !== 0 && (sa.mode !== Mode.MODE_TUNNEL || sa.id?.protocol !== Protocol.PROTOCOL_ESP),
    Feature.FEATURE_TFC,
    'only in ESP’s tunnel mode does the packet inside say how long it is (RFC 4303, 2.7)',
  );
  refuseFeature(sa.cpu !== 0, Feature.FEATURE_CPU, 'there is one packet thread');
  refuseFeature(sa.ipcomp !== 0, Feature.FEATURE_IPCOMP, 'packets are not compressed');
  refuseFeature(sa.hwOffload, Feature.FEATURE_HW_OFFLOAD, 'this is software');
}

/** What an outbound SA's packets are marked with. What goes into a TUN device carries no mark. */
function parseOuterMark(sa: Sa, isInbound: boolean, fwmark: number): number {
  const setMark = parseMark(sa.setMark);
  if (setMark === undefined) return fwmark;
  refuseFeature(
    isInbound,
    Feature.FEATURE_SET_MARK,
    'a packet that comes out of a TUN device has no mark; the SA’s own says out of which (mark_in, mark_in_sa)',
  );
  return ((fwmark & ~setMark.mask) | setMark.value) >>> 0;
}

function parseSequence(
  sa: Sa,
  isInbound: boolean,
): Pick<SaRequest, 'nextSequence' | 'replayHighest' | 'replayBitmap'> {
  const state = sa.replayState;
  if (isInbound && sa.initialSequence > 1n) throw invalid('initial_sequence belongs to outbound SAs');
  if (!isInbound && state !== undefined) throw invalid('replay_state belongs to inbound SAs');
  const bits = sa.esn ? 64n : 32n;
  if (sa.initialSequence >> bits !== 0n)
    throw invalid(`initial_sequence ${sa.initialSequence} does not fit into ${bits} bits`);
  if (sa.replayWindow > MAX_REPLAY_WINDOW) {
    throw invalid(
      `replay_window: ${sa.replayWindow} packets are more than the ${MAX_REPLAY_WINDOW} supported`,
    );
  }
  const highest = state?.highestSequence ?? 0n;
  if (highest >> bits !== 0n)
    throw invalid(`replay_state: sequence number ${highest} does not fit into ${bits} bits`);
  if (isInbound && sa.esn && sa.replayWindow === 0) {
    throw invalid(
      'extended sequence numbers need a replay_window: incoming ones are completed from it (RFC 4303, 3.4.3)',
    );
  }
  return {
    nextSequence: sa.initialSequence > 0n ? sa.initialSequence : 1n,
    replayHighest: highest,
    replayBitmap: state?.bitmap ?? new Uint8Array(0),
  };
}

function parseSelectors(
  sa: Sa,
  isInbound: boolean,
): Pick<SaRequest, 'sourceSelectors' | 'destinationSelectors'> {
  const sides = { source: sa.sourceSelectors, destination: sa.destinationSelectors };
  for (const [side, list] of Object.entries(sides)) {
    if (list.length > MAX_SELECTORS) {
      throw new Refusal(
        ResultCode.RESULT_CODE_CAPACITY,
        `${list.length} ${side} selectors are more than ${MAX_SELECTORS}`,
      );
    }
    if (isInbound && list.length === 0) {
      throw invalid(
        `an inbound SA needs ${side} selectors: decapsulated packets are checked against them (RFC 4301, 5.2)`,
      );
    }
  }
  return {
    sourceSelectors: sa.sourceSelectors.map((selector) => parseSelector(selector, 'source selector')),
    destinationSelectors: sa.destinationSelectors.map((selector) =>
      parseSelector(selector, 'destination selector'),
    ),
  };
}

/** Unspecified is what RFC 4301, 5.1.2.1 has as its default: out only. */
function parseDscpCopy(copy: DscpCopy): Pick<SaRequest, 'copyDscpOut' | 'copyDscpIn'> {
  switch (copy) {
    case DscpCopy.DSCP_COPY_UNSPECIFIED:
    case DscpCopy.DSCP_COPY_OUT_ONLY:
      return { copyDscpOut: true, copyDscpIn: false };
    case DscpCopy.DSCP_COPY_IN_ONLY:
      return { copyDscpOut: false, copyDscpIn: true };
    case DscpCopy.DSCP_COPY_YES:
      return { copyDscpOut: true, copyDscpIn: true };
    case DscpCopy.DSCP_COPY_NO:
      return { copyDscpOut: false, copyDscpIn: false };
    default:
      throw invalid(`copy_dscp: unknown value ${copy}`);
  }
}

const noLifetime: Lifetime = { seconds: 0n, bytes: 0n, packets: 0n };

/** What of this dataplane decides what an SA may be. */
export type SaContext = {
  readonly algorithms: Algorithms;
  readonly scopes: Scopes;
  /** The mark of outer packets that no SA chooses one for. */
  readonly fwmark: number;
  /** Whether outer packets may be IPv6. */
  readonly hasIpv6: boolean;
  /** The only port on which ESP in UDP is received. */
  readonly encapPort: number;
};

/** @throws Refusal naming the first thing that cannot be done */
export function parseSaRequest(
  sa: Sa | undefined,
  { algorithms, scopes, fwmark, encapPort, hasIpv6 }: SaContext,
): SaRequest {
  if (sa === undefined) throw invalid('add_sa without an SA');
  const name = parseSaName(sa.id);
  checkMode(sa.mode);
  checkRequiredFeatures(sa.requiredFeatures);
  refuseUnimplemented(sa);
  algorithms.check({
    protocol: name.protocol,
    encryption: sa.encryption,
    encryptionKeyBytes: sa.encryptionKey.length,
    integrity: sa.integrity,
    integrityKeyBytes: sa.integrityKey.length,
  });
  const source = parseOuter(sa.source, 'outer source');
  checkOuterPair(source, name.destination, hasIpv6);
  return {
    sa,
    name,
    source,
    isTransport: sa.mode === Mode.MODE_TRANSPORT,
    udp: parseUdp(sa.udpEncapsulation, name, encapPort),
    device: scopes.deviceOf({ ...name, vrf: sa.innerVrf }),
    outerMark: parseOuterMark(sa, name.isInbound, fwmark),
    softLifetime: sa.softLifetime ?? noLifetime,
    hardLifetime: sa.hardLifetime ?? noLifetime,
    ...parseSelectors(sa, name.isInbound),
    ...parseSequence(sa, name.isInbound),
    ...parseDscpCopy(sa.copyDscp),
  };
}
