import {
  type PolicyAction,
  type PolicyDirection,
  type PolicyUser,
  type SecurityAssociation,
  type TrafficSelector,
  toReqId,
  toSpi,
} from '../../src/sad/index.ts';
import { SecretBytes } from '../../src/util/index.ts';

const LOCAL = '198.18.0.1';
const REMOTE = '198.18.0.2';

export function subnet(firstAddress: string, lastAddress: string = firstAddress): TrafficSelector {
  return { firstAddress, lastAddress, protocol: 0, ports: { first: 0, last: 65_535 } };
}

export type SaOptions = {
  readonly direction: 'inbound' | 'outbound';
  readonly spi: number;
  /** Fills the key, so that two SAs can differ by it. */
  readonly keyByte?: number;
  readonly change?: Partial<SecurityAssociation>;
};

/** An AES-GCM-128 tunnel between two gateways. */
export function sampleSa({ direction, spi, keyByte = spi & 0xff, change }: SaOptions): SecurityAssociation {
  const isInbound = direction === 'inbound';
  const local = [subnet('198.19.1.0', '198.19.1.255')];
  const remote = [subnet('198.19.2.0', '198.19.2.255')];
  return {
    id: { direction, protocol: 'esp', spi: toSpi(spi), destination: isInbound ? LOCAL : REMOTE },
    source: isInbound ? REMOTE : LOCAL,
    mode: 'tunnel',
    reqid: toReqId(1),
    encryption: { id: 20, key: new SecretBytes(new Uint8Array(20).fill(keyByte)) },
    integrity: undefined,
    udpEncapsulation: undefined,
    replayWindow: isInbound ? 32 : 0,
    esn: false,
    sourceSelectors: isInbound ? remote : local,
    destinationSelectors: isInbound ? local : remote,
    softLifetime: {},
    hardLifetime: { seconds: 3_600n },
    copyDf: true,
    copyEcn: true,
    copyDscp: 'out-only',
    tfc: 0,
    ipcomp: 0,
    hwOffload: false,
    ...change,
  };
}

export type UserOptions = {
  readonly direction: PolicyDirection;
  /** Undefined is a trap. */
  readonly spi?: number | undefined;
  readonly reqid?: number;
  readonly action?: PolicyAction;
  readonly change?: Partial<PolicyUser>;
};

/** A user of the policy between the two networks. */
export function sampleUser({ direction, spi, reqid = 1, action, change }: UserOptions): PolicyUser {
  const isOutbound = direction === 'outbound';
  const local = subnet('198.19.1.0', '198.19.1.255');
  const remote = subnet('198.19.2.0', '198.19.2.255');
  return {
    id: { direction, source: isOutbound ? local : remote, destination: isOutbound ? remote : local },
    action: action ?? {
      kind: 'protect',
      template: {
        protocol: 'esp',
        mode: 'tunnel',
        source: isOutbound ? LOCAL : REMOTE,
        destination: isOutbound ? REMOTE : LOCAL,
        spi: spi === undefined ? undefined : toSpi(spi),
        reqid: toReqId(reqid),
      },
    },
    priorityClass: 'default',
    manualPriority: 0,
    ...change,
  };
}
