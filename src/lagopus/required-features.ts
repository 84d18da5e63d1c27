import { Feature } from '../proto/index.ts';
import type {
  Operation,
  PolicyId,
  SecurityAssociation,
  SecurityPolicy,
  TrafficSelector,
} from '../sad/index.ts';
import { isIpv6 } from '../util/index.ts';

type Use = readonly [isUsed: boolean, feature: Feature];

function used(uses: readonly Use[]): Feature[] {
  return uses.filter(([isUsed]) => isUsed).map(([, feature]) => feature);
}

function hasIpv6(selectors: readonly TrafficSelector[]): boolean {
  return selectors.some(({ firstAddress }) => isIpv6(firstAddress));
}

/** What a dataplane must implement for this SA to mean what was negotiated. */
export function saFeatures({ sa, replayState }: Operation & { kind: 'add-sa' }): Feature[] {
  const hasLimit = (limit: keyof SecurityAssociation['hardLifetime']): boolean =>
    sa.softLifetime[limit] !== undefined || sa.hardLifetime[limit] !== undefined;
  return used([
    [isIpv6(sa.source) || isIpv6(sa.id.destination), Feature.FEATURE_IPV6_OUTER],
    [hasIpv6(sa.sourceSelectors) || hasIpv6(sa.destinationSelectors), Feature.FEATURE_IPV6_INNER],
    [sa.udpEncapsulation !== undefined, Feature.FEATURE_UDP_ENCAPSULATION],
    [sa.esn, Feature.FEATURE_ESN],
    [replayState !== undefined, Feature.FEATURE_REPLAY_STATE],
    [sa.id.mark !== undefined, Feature.FEATURE_MARK],
    [sa.setMark !== undefined, Feature.FEATURE_SET_MARK],
    [sa.id.ifId !== undefined, Feature.FEATURE_IF_ID],
    [sa.innerVrf !== undefined, Feature.FEATURE_VRF],
    [sa.interface !== undefined, Feature.FEATURE_INTERFACE],
    [sa.label !== undefined, Feature.FEATURE_LABEL],
    [sa.copyDf, Feature.FEATURE_COPY_DF],
    [sa.copyEcn, Feature.FEATURE_COPY_ECN],
    [sa.copyDscp !== 'no', Feature.FEATURE_COPY_DSCP],
    [sa.tfc !== 0, Feature.FEATURE_TFC],
    [sa.cpu !== undefined, Feature.FEATURE_CPU],
    [hasLimit('seconds'), Feature.FEATURE_LIFETIME_TIME],
    [hasLimit('bytes'), Feature.FEATURE_LIFETIME_BYTES],
    [hasLimit('packets'), Feature.FEATURE_LIFETIME_PACKETS],
    [sa.ipcomp !== 0, Feature.FEATURE_IPCOMP],
    [sa.hwOffload, Feature.FEATURE_HW_OFFLOAD],
  ]);
}

function policyIdUses(id: PolicyId): readonly Use[] {
  return [
    [hasIpv6([id.source, id.destination]), Feature.FEATURE_IPV6_INNER],
    [id.mark !== undefined, Feature.FEATURE_MARK],
    [id.ifId !== undefined, Feature.FEATURE_IF_ID],
    [id.innerVrf !== undefined, Feature.FEATURE_VRF],
    [id.interface !== undefined, Feature.FEATURE_INTERFACE],
    [id.label !== undefined, Feature.FEATURE_LABEL],
  ];
}

/** What a dataplane must implement for this policy to mean what charon asked for. */
export function policyFeatures({ id, action }: SecurityPolicy): Feature[] {
  const template = action.kind === 'protect' ? action.template : undefined;
  const isTrap = template !== undefined && template.spi === undefined;
  return used([
    ...policyIdUses(id),
    [action.kind === 'bypass', Feature.FEATURE_BYPASS],
    [isTrap && id.direction === 'outbound', Feature.FEATURE_ACQUIRE],
    [
      template !== undefined && (isIpv6(template.source) || isIpv6(template.destination)),
      Feature.FEATURE_IPV6_OUTER,
    ],
  ]);
}
