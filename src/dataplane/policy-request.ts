import {
  type Mode,
  type Policy,
  PolicyAction,
  type PolicyId,
  ResultCode,
  type SaTemplate,
} from '../proto/index.ts';
import { Refusal } from '../server/index.ts';
import { type Address, mappedIpv4 } from './address.ts';
import { refuseOtherScopes } from './features.ts';
import type { PolicyMatch } from './policy-order.ts';
import { checkMode, parseDirection, parseOuter, parseProtocol, type SaName } from './sa-request.ts';
import { parseMark, type Scope, scopeKey } from './scopes.ts';
import { parseSelector, type Selector } from './selector.ts';

/** The destination of a trap that does not know its peer. */
const NOWHERE: Address = mappedIpv4(0);

/** How a PROTECT policy finds its SA; SPI 0 is a trap. */
export type Template = Pick<SaName, 'protocol' | 'spi'> & {
  readonly mode: Mode;
  readonly destination: Address;
  readonly reqid: number;
};

export type PolicyAct =
  | { readonly kind: 'protect'; readonly template: Template }
  | { readonly kind: 'bypass' }
  | { readonly kind: 'discard' };

/** A policy's identity, checked. */
export type PolicyName = Pick<PolicyMatch, 'isInbound' | 'source' | 'destination'> & {
  readonly scope: Scope;
};

function invalid(message: string): Refusal {
  return new Refusal(ResultCode.RESULT_CODE_INVALID, message);
}

function parseTemplate(templates: readonly SaTemplate[]): Template {
  const [template] = templates;
  if (template === undefined || templates.length !== 1) {
    throw invalid(`a PROTECT policy needs exactly one template, got ${templates.length}`);
  }
  const protocol = parseProtocol(template.protocol);
  checkMode(template.mode);
  const { mode, spi, reqid } = template;
  // A trap may not know its peer yet.
  const destination =
    spi === 0 && template.destination === undefined
      ? NOWHERE
      : parseOuter(template.destination, 'template destination');
  return { protocol, mode, spi, destination, reqid };
}

/** @throws Refusal */
export function parseAct(policy: Policy): PolicyAct {
  switch (policy.action) {
    case PolicyAction.POLICY_ACTION_PROTECT:
      return { kind: 'protect', template: parseTemplate(policy.templates) };
    case PolicyAction.POLICY_ACTION_BYPASS:
      return { kind: 'bypass' };
    case PolicyAction.POLICY_ACTION_DISCARD:
      return { kind: 'discard' };
    default:
      throw invalid(`unknown policy action ${policy.action}`);
  }
}

/** @throws Refusal */
export function parsePolicyName(id: PolicyId | undefined): PolicyName {
  if (id === undefined) throw invalid('the policy has no id');
  refuseOtherScopes(id);
  const source = parseSelector(id.source, 'source selector');
  const destination = parseSelector(id.destination, 'destination selector');
  if (source.family !== destination.family) throw invalid('the selectors are of two address families');
  return {
    isInbound: parseDirection(id.direction),
    source,
    destination,
    scope: { vrf: id.innerVrf, ifId: id.ifId, mark: parseMark(id.mark) },
  };
}

function selectorKey(s: Selector): string {
  return `${s.first}-${s.last} ${s.firstPort}-${s.lastPort} ${s.protocol}`;
}

/** The key of a policy in tables; every owner has policies of its own. */
export function policyKey(name: PolicyName, owner: string): string {
  const selectors = `${selectorKey(name.source)} ${selectorKey(name.destination)}`;
  return `${name.isInbound ? 'in' : 'out'} ${selectors} ${scopeKey(name.scope)} ${owner}`;
}
