import { randomBytes } from 'node:crypto';
import {
  createEngine,
  FlowAction,
  type NativeCallbacks,
  type NativeEngine,
  type NativeSa,
} from '../../src/dataplane/native.ts';
import type { Suite } from '../dataplane/samples.ts';

export const LEFT = 0xc6120001;
export const RIGHT = 0xc6120002;
export const INNER_LEFT = 0xc6130101;
export const INNER_RIGHT = 0xc6130201;

export const anySelector = Uint32Array.of(0, 0xffffffff, 0, 65535, 0);

export function nativeSa(suite: Suite, overrides: Partial<NativeSa> = {}): NativeSa {
  return {
    isInbound: false,
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
    mark: 0,
    softBytes: 0n,
    softPackets: 0n,
    hardBytes: 0n,
    hardPackets: 0n,
    nextSequence: 1n,
    replayWindow: 32,
    replayHighest: 0,
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
  readonly address: number;
  readonly port: number;
};

/** An engine without descriptors that lets every decapsulated packet pass and notes what it reports. */
export function engineLab(classify?: NativeCallbacks['classify']): {
  readonly engine: NativeEngine;
  readonly events: SaEventCall[];
} {
  const events: SaEventCall[] = [];
  const pass = Uint32Array.of(FlowAction.pass, 0, 0);
  const engine = createEngine({
    classify: classify ?? (() => pass),
    saEvent: (sa, event, address, port) => events.push({ sa, event, address, port }),
    acquire: () => undefined,
    fault: () => undefined,
    closed: () => undefined,
  });
  return { engine, events };
}
