import { PolicyAction as ProtoPolicyAction } from '../proto/index.ts';
import {
  type ActualPolicy,
  type PolicyAction,
  type PolicyId,
  type SaTemplate,
  type TrafficSelector,
  toReqId,
} from '../sad/index.ts';
import { direction, mode, protocol } from './codes.ts';
import { decodeSpi } from './decode-ids.ts';
import { malformed, required } from './malformed.ts';
import { readAddress, readMark, readSelector } from './read-selector.ts';
import { type Draft, type Fields, type Owned, sized, varint, type WireReader } from './wire-reader.ts';

type PolicyIdDraft = Omit<Draft<PolicyId>, 'direction' | 'source' | 'destination'> & {
  direction: number;
  source: TrafficSelector | undefined;
  destination: TrafficSelector | undefined;
};

const POLICY_ID: Fields<PolicyIdDraft> = {
  [varint(1)]: (id, from) => {
    id.direction = from.u32();
  },
  [sized(2)]: (id, from) => {
    id.source = readSelector(from);
  },
  [sized(3)]: (id, from) => {
    id.destination = readSelector(from);
  },
  [sized(4)]: (id, from) => {
    id.mark = readMark(from);
  },
  [varint(5)]: (id, from) => {
    id.ifId = from.u32() || undefined;
  },
  [sized(6)]: (id, from) => {
    id.interface = from.text() || undefined;
  },
  [sized(7)]: (id, from) => {
    id.label = from.bytes();
  },
  [sized(8)]: (id, from) => {
    id.innerVrf = from.text() || undefined;
  },
};

function readPolicyId(from: WireReader): PolicyId {
  const draft: PolicyIdDraft = {
    ...{ direction: 0, source: undefined, destination: undefined, mark: undefined, ifId: undefined },
    ...{ interface: undefined, label: undefined, innerVrf: undefined },
  };
  from.message(draft, POLICY_ID);
  return {
    ...draft,
    direction: direction.decode(draft.direction),
    source: required(draft.source, 'source of a policy'),
    destination: required(draft.destination, 'destination of a policy'),
  };
}

type TemplateDraft = {
  protocol: number;
  mode: number;
  source: string;
  destination: string;
  spi: number;
  reqid: number;
};

const TEMPLATE: Fields<TemplateDraft> = {
  [varint(1)]: (template, from) => {
    template.protocol = from.u32();
  },
  [varint(2)]: (template, from) => {
    template.mode = from.u32();
  },
  [sized(3)]: (template, from) => {
    template.source = readAddress(from);
  },
  [sized(4)]: (template, from) => {
    template.destination = readAddress(from);
  },
  [varint(5)]: (template, from) => {
    template.spi = from.u32();
  },
  [varint(6)]: (template, from) => {
    template.reqid = from.u32();
  },
};

function readTemplate(from: WireReader): SaTemplate {
  const draft: TemplateDraft = { protocol: 0, mode: 0, source: '', destination: '', spi: 0, reqid: 0 };
  from.message(draft, TEMPLATE);
  if (draft.source === '' || draft.destination === '') throw malformed('an SA template without addresses');
  return {
    protocol: protocol.decode(draft.protocol),
    mode: mode.decode(draft.mode),
    source: draft.source,
    destination: draft.destination,
    spi: draft.spi === 0 ? undefined : decodeSpi(draft.spi),
    reqid: toReqId(draft.reqid),
  };
}

type PolicyDraft = {
  id: PolicyId | undefined;
  action: number;
  priority: number;
  readonly templates: SaTemplate[];
};

const POLICY: Fields<PolicyDraft> = {
  [sized(1)]: (policy, from) => {
    policy.id = readPolicyId(from);
  },
  [varint(2)]: (policy, from) => {
    policy.action = from.u32();
  },
  [varint(3)]: (policy, from) => {
    policy.priority = from.u32();
  },
  [sized(4)]: ({ templates }, from) => {
    templates.push(readTemplate(from));
  },
};

function toAction({ action, templates }: PolicyDraft): PolicyAction {
  switch (action) {
    case ProtoPolicyAction.POLICY_ACTION_PROTECT: {
      const [template] = templates;
      if (template === undefined || templates.length > 1) {
        throw malformed(`a protect policy of ${templates.length} templates`);
      }
      return { kind: 'protect', template };
    }
    case ProtoPolicyAction.POLICY_ACTION_BYPASS:
      return { kind: 'bypass' };
    case ProtoPolicyAction.POLICY_ACTION_DISCARD:
      return { kind: 'discard' };
    default:
      throw malformed(`${action} is no policy action`);
  }
}

type PolicyStateDraft = Owned & Draft<Omit<ActualPolicy, 'policy'>> & { policy: PolicyDraft | undefined };

const POLICY_STATE: Fields<PolicyStateDraft> = {
  [sized(1)]: (state, from) => {
    state.policy = from.message({ id: undefined, action: 0, priority: 0, templates: [] }, POLICY);
  },
  [sized(2)]: (state, from) => {
    state.isOurs = from.isNext(state.ownerId);
  },
  [sized(3)]: (state, from) => {
    state.charonInstanceId = from.hexAgain();
  },
  [varint(4)]: (state, from) => {
    state.packets = from.u64();
  },
  [varint(5)]: (state, from) => {
    state.bytes = from.u64();
  },
  [varint(6)]: (state, from) => {
    state.idleMs = from.u64();
  },
  [varint(7)]: (state, from) => {
    state.ageMs = from.u64();
  },
};

export function readActualPolicy(from: WireReader, ownerId: Buffer): ActualPolicy | undefined {
  const draft: PolicyStateDraft = {
    ...{ ownerId, isOurs: ownerId.length === 0, policy: undefined, charonInstanceId: '' },
    ...{ packets: 0n, bytes: 0n, idleMs: undefined, ageMs: undefined },
  };
  from.message(draft, POLICY_STATE);
  if (!draft.isOurs) return undefined;
  const policy = required(draft.policy, 'policy');
  const { charonInstanceId, ageMs, packets, bytes, idleMs } = draft;
  return {
    policy: { id: required(policy.id, 'policy id'), action: toAction(policy), priority: policy.priority },
    ...{ charonInstanceId, ageMs, packets, bytes, idleMs },
  };
}
