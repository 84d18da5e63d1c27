import { randomBytes } from 'node:crypto';
import { type Address, mappedIpv4 } from '../../src/dataplane/address.ts';
import {
  createEngine,
  FlowAction,
  type NativeCallbacks,
  type NativeEngine,
  type NativeSa,
} from '../../src/dataplane/native.ts';
import { flattenSelectors } from '../../src/dataplane/selector.ts';
import type { Suite } from '../dataplane/samples.ts';

export const LEFT = mappedIpv4(0xc6120001);
export const RIGHT = mappedIpv4(0xc6120002);
export const INNER_LEFT = mappedIpv4(0xc6130101);
export const INNER_RIGHT = mappedIpv4(0xc6130201);

const anyPort = { firstPort: 0, lastPort: 65535 };

/** A selector for one IPv4 address, as the engine takes it. */
export function oneAddress(address: Address, firstPort = 0, lastPort = 65535, protocol = 0): Uint32Array {
  return flattenSelectors([{ family: 4, first: address, last: address, firstPort, lastPort, protocol }]);
}

export const anySelector = flattenSelectors([
  { family: 4, first: mappedIpv4(0), last: mappedIpv4(0xffffffff), ...anyPort, protocol: 0 },
]);

export function nativeSa(suite: Suite, overrides: Partial<NativeSa> = {}): NativeSa {
  return {
    isInbound: false,
    protocol: 50,
    isTransport: false,
    spi: 0xc0000001,
    source: LEFT,
    destination: RIGHT,
    isUdp: false,
    sourcePort: 0,
    destinationPort: 0,
    copyDf: true,
    copyEcn: true,
    copyDscpOut: true,
    copyDscpIn: false,
    device: 0,
    group: 0,
    mark: 0,
    softBytes: 0n,
    softPackets: 0n,
    hardBytes: 0n,
    hardPackets: 0n,
    isEsn: false,
    nextSequence: 1n,
    tfcLength: 0,
    replayWindow: 32,
    replayHighest: 0n,
    replayBitmap: new Uint8Array(0),
    sourceSelectors: anySelector,
    destinationSelectors: anySelector,
    encryption: suite.encryption,
    encryptionKey: randomBytes(suite.encryptionKeyBytes),
    integrity: suite.integrity,
    integrityKey: randomBytes(suite.integrityKeyBytes),
    ...overrides,
  };
}

export type SaEventCall = {
  readonly sa: number;
  readonly event: number;
  readonly address: Address;
  readonly port: number;
};

/** A dropped packet, as it is told. */
export type Drop = {
  readonly reason: string;
  readonly leftOut: bigint;
  readonly spi: number;
  readonly sequence: number;
  readonly source: Address;
  readonly destination: Address;
};

/** An engine without descriptors that lets every decapsulated packet pass and notes what it reports. */
export function engineLab(classify?: NativeCallbacks['classify']): {
  readonly engine: NativeEngine;
  readonly events: SaEventCall[];
  readonly drops: Drop[];
} {
  const events: SaEventCall[] = [];
  const drops: Drop[] = [];
  const pass = Uint32Array.of(FlowAction.pass, 0, 0);
  const engine = createEngine({
    classify: classify ?? (() => pass),
    saEvent: (sa, event, address, port) => events.push({ sa, event, address, port }),
    acquire: () => undefined,
    dropped: (reason, leftOut, spi, sequence, source, destination) =>
      drops.push({ reason, leftOut, spi, sequence, source, destination }),
    fault: () => undefined,
    closed: () => undefined,
  });
  return { engine, events, drops };
}
