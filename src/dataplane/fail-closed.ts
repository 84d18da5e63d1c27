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
