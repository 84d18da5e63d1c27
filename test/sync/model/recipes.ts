import { type PolicyUser, type Spi, type TrafficSelector, toReqId } from '../../../src/sad/index.ts';
import { SecretBytes } from '../../../src/util/index.ts';
import { sampleSa, sampleUser, subnet } from '../../support/sample-sas.ts';
import type { TableSa } from './sim-plugin.ts';

export type PolicyDirection = PolicyUser['id']['direction'];

/** What the SAs and policies of one CHILD_SA, trap or shunt are made of. */
export type Recipe = {
  readonly net: number;
  readonly reqid: number;
  readonly local: string;
  readonly remote: string;
};

export type SaRecipe = Recipe & {
  readonly direction: 'inbound' | 'outbound';
  readonly spi: Spi;
  readonly key: Uint8Array;
  readonly esn: boolean;
  readonly replayWindow: number;
};

function networks(net: number): { readonly local: TrafficSelector; readonly remote: TrafficSelector } {
  return {
    local: subnet('198.19.1.0', '198.19.1.255'),
    remote: subnet(`198.19.${net + 2}.0`, `198.19.${net + 2}.255`),
  };
}

/** An SA as charon negotiated it; each copy has keys of its own. */
export function makeSa({ direction, spi, key, net, reqid, local, remote, ...rest }: SaRecipe): TableSa {
  const isInbound = direction === 'inbound';
  const { id, ...sample } = sampleSa({ direction, spi });
  const inner = networks(net);
  const fixed = {
    ...sample,
    ...rest,
    id: { ...id, destination: isInbound ? local : remote },
    source: isInbound ? remote : local,
    reqid: toReqId(reqid),
    sourceSelectors: [isInbound ? inner.remote : inner.local],
    destinationSelectors: [isInbound ? inner.local : inner.remote],
  };
  return {
    id: fixed.id,
    key: Buffer.from(key).toString('hex'),
    make: () => ({ ...fixed, encryption: { id: 20, key: new SecretBytes(key) } }),
  };
}

/** A policy's user; without an SPI a trap. */
export function makeUser(
  { net, reqid, local, remote }: Recipe,
  direction: PolicyDirection,
  spi?: Spi,
): PolicyUser {
  const isOutbound = direction === 'outbound';
  const inner = networks(net);
  const sample = sampleUser({ direction });
  return {
    ...sample,
    id: {
      direction,
      source: isOutbound ? inner.local : inner.remote,
      destination: isOutbound ? inner.remote : inner.local,
    },
    action: {
      kind: 'protect',
      template: {
        protocol: 'esp',
        mode: 'tunnel',
        source: isOutbound ? local : remote,
        destination: isOutbound ? remote : local,
        spi,
        reqid: toReqId(reqid),
      },
    },
  };
}
