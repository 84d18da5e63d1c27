import { eventually } from './eventually.ts';
import type { Peer } from './peer.ts';
import type { ListedChildSa, Swanctl } from './swanctl.ts';
import { CHILD_NAME, IKE_NAME } from './tunnel.ts';

/** Whoever can list its CHILD_SAs. */
export type ChildSaLister = { readonly swanctl: Pick<Swanctl, 'childSas'> };

type SpiPair = { readonly in: number; readonly out: number };

/** The one CHILD_SA in use; undefined while there is none, or two. */
async function currentSpis(peer: ChildSaLister): Promise<SpiPair | undefined> {
  const [sa, ...others] = (await peer.swanctl.childSas()).filter(({ state }) => state === 'INSTALLED');
  return sa === undefined || others.length > 0 ? undefined : spisOf(sa);
}

function spisOf({ spiIn, spiOut }: ListedChildSa): SpiPair {
  return { in: spiIn, out: spiOut };
}

/** Runs what replaces the only CHILD_SA, and returns when both ends use the new one. */
export async function replacingChildSa(
  [self, other]: readonly [ChildSaLister, ChildSaLister],
  replace: () => Promise<unknown>,
  timeoutMs = 10_000,
): Promise<void> {
  const before = await eventually('one CHILD_SA is in use', () => currentSpis(self));
  await replace();
  await eventually(
    'both ends use a new CHILD_SA',
    async () => {
      const [own, others] = await Promise.all([currentSpis(self), currentSpis(other)]);
      const isNew = own !== undefined && own.in !== before.in && own.out !== before.out;
      return isNew && others?.in === own.out && others.out === own.in;
    },
    { timeoutMs },
  );
}

/** Has `self` rekey the only CHILD_SA. */
export function rekeyChild(self: Peer, other: Peer): Promise<void> {
  return replacingChildSa([self, other], () => self.swanctl.rekey({ child: CHILD_NAME }));
}

/** The IKE_SAs a peer has, by their initiator's SPI. */
export async function ikeSas(peer: Peer): Promise<string[]> {
  const { stdout } = await peer.swanctl.run(['--list-sas', '--raw']);
  return [...stdout.matchAll(/initiator-spi=([0-9a-f]+)/g)].map(([, spi]) => spi ?? '');
}

/** Has `self` rekey the only IKE_SA; its CHILD_SAs move to the new one. */
export async function rekeyIke(self: Peer, other: Peer): Promise<void> {
  const [before] = await ikeSas(self);
  await self.swanctl.rekey({ ike: IKE_NAME });
  await eventually('both ends have only a new IKE_SA', async () => {
    const [own, others] = await Promise.all([ikeSas(self), ikeSas(other)]);
    return own.length === 1 && own[0] !== before && others.length === 1 && others[0] === own[0];
  });
}
