import type { Logger } from '../util/index.ts';
import { type Address, formatAddress } from './address.ts';
import { dropReason } from './drop-reasons.ts';
import type { NativeCallbacks } from './native.ts';

/** Absent when there is none. */
function formatSpi(spi: number): string | undefined {
  return spi === 0 ? undefined : spi.toString(16).padStart(8, '0');
}

/**
 * Says which packets are dropped: of the auditable events of RFC 4301 and 4303 as a warning, with what
 * those want to be known of the packet. The engine tells at most one packet a second for each reason.
 */
export function createAuditLog(logger: Logger): NativeCallbacks['dropped'] {
  return (reason, leftOut, spi, sequence, source: Address, destination: Address) => {
    const { xfrm, audit, meaning } = dropReason(reason) ?? {};
    const packet = {
      reason,
      xfrm,
      audit,
      spi: formatSpi(spi),
      sequence: spi === 0 ? undefined : sequence,
      source: formatAddress(source),
      destination: formatAddress(destination),
      othersSinceLast: Number(leftOut),
      meaning,
    };
    if (audit === undefined) logger.debug(packet, 'packet dropped');
    else logger.warn(packet, 'packet dropped');
  };
}
