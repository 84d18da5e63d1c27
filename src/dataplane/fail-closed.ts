import { readFile } from 'node:fs/promises';
import type { Logger } from '../util/index.ts';

const SETTINGS_DIR = '/proc/sys/net/ipv4/conf';

/**
 * Without a process behind it a TUN device has no carrier. Its routes still hold packets back, unless
 * the kernel is told to pass such routes over: then the next best route takes the packets, in clear.
 */
export async function warnIfRoutesYield(tunName: string, logger: Logger): Promise<void> {
  // The setting for all devices counts as well as the device's own.
  for (const device of ['all', tunName]) {
    const setting = `${SETTINGS_DIR}/${device}/ignore_routes_with_linkdown`;
    const value = await readFile(setting, 'utf8').catch(() => '0');
    if (value.trim() === '0') continue;
    logger.warn({ setting }, 'packets will leave in clear while the dataplane is down: set this to 0');
  }
}

/**
 * What should have come through a tunnel and comes in clear goes past the dataplane, through the kernel
 * (RFC 4301, 5.2, step 3b); strict reverse path filtering keeps it out.
 */
export async function sayIfClearComesIn(logger: Logger): Promise<void> {
  const setting = `${SETTINGS_DIR}/all/rp_filter`;
  const value = (await readFile(setting, 'utf8').catch(() => '0')).trim();
  if (value === '1') return;
  logger.info(
    { setting, value },
    'what a tunnel is for is not kept from coming in beside it, in clear: a packet filter has to, or the value 1',
  );
}

/** Whoever may open packet sockets reads on the tap what tunnels carry. */
export function warnOfTap(tap: string | undefined, logger: Logger): void {
  if (tap === undefined) return;
  logger.warn(
    { tap },
    'everything that tunnels carry is shown in clear on this device, to everybody with CAP_NET_RAW in this network namespace: remove tap from the configuration when it is not needed',
  );
}
