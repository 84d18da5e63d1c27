import type {
  PolicyId as ProtoPolicyId,
  SaCounters as ProtoSaCounters,
  SaId as ProtoSaId,
} from '../proto/index.ts';
import { type PolicyId, type SaCounters, type SaId, type Spi, toSpi } from '../sad/index.ts';
import { direction, protocol } from './codes.ts';
import { malformed, required } from './malformed.ts';
import { decodeAddress, decodeBytes, decodeMark, decodeSelector } from './selectors.ts';

export function decodeSpi(spi: number): Spi {
  if (spi < 256) throw malformed(`SPI ${spi}`);
  return toSpi(spi);
}

export function decodeSaId(message: ProtoSaId | undefined): SaId {
  const id = required(message, 'SA id');
  return {
    direction: direction.decode(id.direction),
    protocol: protocol.decode(id.protocol),
    spi: decodeSpi(id.spi),
    destination: decodeAddress(id.destination),
    mark: decodeMark(id.mark),
    ifId: id.ifId === 0 ? undefined : id.ifId,
  };
}

export function decodeCounters(message: ProtoSaCounters | undefined): SaCounters {
  return {
    bytes: message?.bytes ?? 0n,
    packets: message?.packets ?? 0n,
    idleMs: message?.idleMs,
    replayDrops: message?.replayDrops ?? 0n,
    integrityFailures: message?.integrityFailures ?? 0n,
    selectorDrops: message?.selectorDrops ?? 0n,
    malformedDrops: message?.malformedDrops ?? 0n,
  };
}

export function decodePolicyId(message: ProtoPolicyId | undefined): PolicyId {
  const id = required(message, 'policy id');
  return {
    direction: direction.decode(id.direction),
    source: decodeSelector(id.source),
    destination: decodeSelector(id.destination),
    mark: decodeMark(id.mark),
    ifId: id.ifId === 0 ? undefined : id.ifId,
    interface: id.interface === '' ? undefined : id.interface,
    label: decodeBytes(id.label),
    innerVrf: id.innerVrf === '' ? undefined : id.innerVrf,
  };
}
