import {
  Feature,
  type Policy,
  PolicyAction,
  type PolicyId,
  ResultCode,
  type SaTemplate,
  type TrafficSelector,
} from '../../proto/index.ts';
import { Refusal, refuseFeature } from '../../server/index.ts';
import type { OuterPair, PfkeySelector } from '../pfkey/index.ts';
import type { Direction } from '../slots/index.ts';
import { formatIpv4, parseIpv4, prefixLengthOf } from './address.ts';
import {
  checkMode,
  checkProtocol,
  checkRequiredFeatures,
  invalid,
  parseDirection,
  refuseOtherScopes,
} from './sa-request.ts';
import { checkScope, withoutScope } from './scope.ts';

/** What vsw selects traffic by: two prefixes, a port or all of them, one of a few protocols. */
export type PolicyName = {
  readonly vrf: string;
  readonly direction: Direction;
  readonly source: PfkeySelector;
  readonly destination: PfkeySelector;
  /** 0 is any. */
  readonly protocol: number;
};

export type PolicyAct =
  | { readonly kind: 'protect'; readonly spi: number; readonly pair: OuterPair; readonly reqid: number }
  | { readonly kind: 'discard' };

export type PolicyRequest = {
  readonly listed: Policy;
  readonly name: PolicyName;
  readonly act: PolicyAct;
  /** vsw's: the higher number wins. */
  readonly priority: number;
};

/** The words of vsw's configuration for upper protocols. */
export const upperProtocols: ReadonlyMap<number, string> = new Map([
  [0, 'any'],
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [132, 'sctp'],
]);

const MAX_PORT = 65535;
/** What is above is one priority to vsw's cores (RTE_ACL_MAX_PRIORITY), and chance decides between two of it. */
const HIGHEST_PRIORITY = 0x1fffffff;

function unsupported(message: string): Refusal {
  return new Refusal(ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE, message);
}

function parseSelector(selector: TrafficSelector | undefined, what: string): PfkeySelector {
  if (selector === undefined) throw invalid(`${what} selector: missing`);
  const first = parseIpv4(selector.addresses?.first, `${what} selector: first address`);
  const last = parseIpv4(selector.addresses?.last, `${what} selector: last address`);
  const prefixLength = prefixLengthOf(first, last);
  if (prefixLength === undefined) {
    throw unsupported(
      `${what} selector: vsw takes one prefix, not ${formatIpv4(first)} to ${formatIpv4(last)}`,
    );
  }
  const { first: firstPort, last: lastPort } = selector.ports ?? { first: 0, last: MAX_PORT };
  const isAnyPort = firstPort === 0 && lastPort === MAX_PORT;
  if (!isAnyPort && (firstPort !== lastPort || firstPort === 0)) {
    throw unsupported(`${what} selector: vsw takes one port or all, not ${firstPort} to ${lastPort}`);
  }
  return { address: first, prefixLength, port: isAnyPort ? 0 : firstPort };
}

function parseProtocol(
  source: TrafficSelector | undefined,
  destination: TrafficSelector | undefined,
): number {
  const protocol = source?.protocol ?? 0;
  if (protocol !== (destination?.protocol ?? 0)) throw invalid('the selectors name different protocols');
  if (upperProtocols.has(protocol)) return protocol;
  throw unsupported(`vsw selects ${[...upperProtocols.values()].join(', ')}, not IP protocol ${protocol}`);
}

/** @throws Refusal */
export function parsePolicyName(id: PolicyId | undefined, vrfOf: (name: string) => string): PolicyName {
  if (id === undefined) throw invalid('the policy has no id');
  refuseOtherScopes(id);
  checkScope(id, id.innerVrf);
  return {
    vrf: vrfOf(id.innerVrf),
    direction: parseDirection(id.direction),
    source: parseSelector(id.source, 'source'),
    destination: parseSelector(id.destination, 'destination'),
    protocol: parseProtocol(id.source, id.destination),
  };
}

function parseTemplate(templates: readonly SaTemplate[], direction: Direction): PolicyAct {
  const [template] = templates;
  if (template === undefined || templates.length !== 1) {
    throw invalid(`a PROTECT policy needs exactly one template, got ${templates.length}`);
  }
  checkProtocol(template.protocol);
  checkMode(template.mode);
  refuseFeature(
    template.spi === 0 && direction === 'outbound',
    Feature.FEATURE_ACQUIRE,
    'vsw’s policies need an SA: no trap (start_action = start, not trap)',
  );
  const pair = {
    source: parseIpv4(template.source, 'template source'),
    destination: parseIpv4(template.destination, 'template destination'),
  };
  return { kind: 'protect', spi: template.spi, pair, reqid: template.reqid };
}

function parseAct(policy: Policy, direction: Direction): PolicyAct {
  switch (policy.action) {
    case PolicyAction.POLICY_ACTION_PROTECT:
      return parseTemplate(policy.templates, direction);
    case PolicyAction.POLICY_ACTION_DISCARD:
      return { kind: 'discard' };
    case PolicyAction.POLICY_ACTION_BYPASS:
      throw unsupported('FEATURE_BYPASS is not supported: vsw’s policies protect or discard');
    default:
      throw invalid(`unknown policy action ${policy.action}`);
  }
}

/** @throws Refusal */
export function parsePolicyRequest(
  policy: Policy | undefined,
  vrfOf: (name: string) => string,
): PolicyRequest {
  if (policy === undefined) throw invalid('put_policy without a policy');
  const name = parsePolicyName(policy.id, vrfOf);
  checkRequiredFeatures(withoutScope(policy.requiredFeatures, policy.id?.innerVrf ?? ''));
  const priority = HIGHEST_PRIORITY - Math.min(policy.priority, HIGHEST_PRIORITY - 1);
  return { listed: policy, name, act: parseAct(policy, name.direction), priority };
}

function formatSelector({ address, prefixLength, port }: PfkeySelector): string {
  return `${formatIpv4(address)}/${prefixLength}${port === 0 ? '' : `[${port}]`}`;
}

/** Also its key: vsw has no two policies with one selector and direction, whoever owns them. */
export function describePolicy({ vrf, direction, source, destination, protocol }: PolicyName): string {
  const upper = protocol === 0 ? '' : ` ${upperProtocols.get(protocol)}`;
  return `${direction} policy ${formatSelector(source)} to ${formatSelector(destination)}${upper} of ${vrf}`;
}
