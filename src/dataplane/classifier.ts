import { FlowAction, type NativeCallbacks } from './native.ts';
import { type SaGroup, satisfies } from './sa-groups.ts';
import type { Sad } from './sad.ts';
import type { PolicyRecord, Spd } from './spd.ts';

/** A decapsulated packet, which is of its SA's selectors, has to be of a policy that asks for such an SA. */
function inboundAction({ act, owner }: PolicyRecord, group: SaGroup | undefined): FlowAction {
  switch (act.kind) {
    case 'discard':
      return FlowAction.discard;
    case 'bypass':
      return FlowAction.mismatch;
    case 'protect':
      return group !== undefined && satisfies(group, act.template, owner)
        ? FlowAction.pass
        : FlowAction.mismatch;
  }
}

/**
 * Answers the engine's question what the SPD says of a packet (RFC 4301, 5.1 and 5.2). The answer is
 * cached for the flow until a policy or SA changes.
 */
export function createClassifier(sad: Sad, spd: Spd): NativeCallbacks['classify'] {
  const verdict = new Uint32Array(3);
  const answer = (action: FlowAction, policy = 0, sa = 0): Uint32Array => {
    verdict[0] = action;
    verdict[1] = policy;
    verdict[2] = sa;
    return verdict;
  };
  return (isInbound, device, family, source, destination, protocol, sourcePort, destinationPort, group) => {
    const packet = { family, source, destination, protocol, sourcePort, destinationPort };
    const policy = spd.lookup(isInbound, device, packet);
    if (policy === undefined) {
      const leaving = isInbound ? spd.lookupLeaving(device, packet) : undefined;
      const isLetIn = leaving !== undefined && inboundAction(leaving, sad.group(group)) === FlowAction.pass;
      return answer(isLetIn ? FlowAction.pass : FlowAction.drop);
    }
    if (isInbound) return answer(inboundAction(policy, sad.group(group)), policy.handle);
    const { act, handle } = policy;
    switch (act.kind) {
      case 'discard':
        return answer(FlowAction.discard, handle);
      case 'bypass':
        return answer(FlowAction.bypass, handle);
      case 'protect': {
        const { protocol, mode, spi, destination: peer } = act.template;
        if (spi === 0) return answer(FlowAction.trap, handle);
        const sa = sad.findOutbound(policy.owner, { ...policy.scope, protocol, spi, destination: peer });
        return sa?.listed.mode !== mode
          ? answer(FlowAction.drop, handle)
          : answer(FlowAction.protect, handle, sa.handle);
      }
    }
  };
}
