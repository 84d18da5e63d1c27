import { IKE_NAME, type PacketEnd } from '../../test/support/index.ts';
import { connect, type Pair } from '../path/pair.ts';

/** Something that carries packets from one end to the other. */
export type Carrier = {
  readonly from: PacketEnd;
  readonly to: PacketEnd;
  /** Where logs go. */
  readonly dir: string;
  /** The processes whose CPU time the packets cost: the sender's, then the receiver's; none in clear. */
  readonly pids: readonly number[];
};

/** Strongest first in the tables; the names are strongSwan's. */
export const SUITES = [
  { name: 'AES-GCM-128', esp: 'aes128gcm16' },
  { name: 'AES-CBC-256 + HMAC-SHA2-256', esp: 'aes256-sha256' },
] as const;

export type Suite = (typeof SUITES)[number];

/** The tunnel of a pair, from now on with this suite. */
export async function tunnelOf(pair: Pair, suite: Suite): Promise<Carrier> {
  const { left, right } = pair;
  await left.charon.swanctl.terminate({ ike: IKE_NAME }).catch(() => undefined);
  await connect(pair, suite.esp);
  return { from: left, to: right, dir: left.site.dir, pids: [left.dataplanePid, right.dataplanePid] };
}

/** The same wire without a tunnel: the outer addresses, which no policy covers. */
export function clearOf({ left, right }: Pair): Carrier {
  const end = ({ site }: Pair['left']): PacketEnd => ({ namespace: site.namespace, address: site.outer });
  return { from: end(left), to: end(right), dir: left.site.dir, pids: [] };
}
