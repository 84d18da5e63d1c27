import { CHILD_NAME, type CharonDaemon, eventually, type ListedChildSa } from '../test/support/index.ts';

/** The two SAs of a tunnel, as the gateway that was asked numbers them. */
export type SpiPair = { readonly in: number; readonly out: number };

/** The SPIs a charon uses now. */
export async function installedSpis(charon: CharonDaemon): Promise<SpiPair | undefined> {
  const installed = (await charon.swanctl.childSas()).filter(({ state }) => state === 'INSTALLED');
  const [sa, ...others] = installed;
  return sa === undefined || others.length > 0 ? undefined : spisOf(sa);
}

/** Has `charon` replace the keys; returns its new SPIs once `peer` uses them too. */
export async function forceRekey(charon: CharonDaemon, peer: CharonDaemon): Promise<SpiPair> {
  const before = await eventually('one CHILD_SA is installed', () => installedSpis(charon));
  await charon.swanctl.rekey({ child: CHILD_NAME });
  return await eventually('both ends use the new SAs', async () => {
    const [own, others] = await Promise.all([installedSpis(charon), installedSpis(peer)]);
    const isNew = own !== undefined && own.in !== before.in && own.out !== before.out;
    return isNew && others?.in === own.out && others.out === own.in ? own : undefined;
  });
}

/** Waits until what was replaced is gone from both ends. */
export async function waitOldSasGone(charons: readonly CharonDaemon[]): Promise<void> {
  await eventually('the old SAs are gone', async () => {
    const listings = await Promise.all(charons.map(({ swanctl }) => swanctl.childSas()));
    return listings.every((sas) => sas.length === 1);
  });
}

function spisOf({ spiIn, spiOut }: ListedChildSa): SpiPair {
  return { in: spiIn, out: spiOut };
}

/** Eight hex digits, as charon and tcpdump write them. */
export function formatSpi(spi: number): string {
  return spi.toString(16).padStart(8, '0');
}
