import { FlowAction, type NativeCallbacks } from './native.ts';
import type { Sad } from './sad.ts';
import type { Spd } from './spd.ts';

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
  return (isInbound, device, family, source, destination, protocol, sourcePort, destinationPort) => {
    const packet = { family, source, destination, protocol, sourcePort, destinationPort };
    const policy = spd.lookup(isInbound, device, packet);
    // A decapsulated packet was checked against its SA's selectors already: only a DISCARD stands
    // against it now. The policy is looked for to be counted.
    if (isInbound)
      return answer(policy?.act.kind === 'discard' ? FlowAction.discard : FlowAction.pass, policy?.handle);
    if (policy === undefined) return answer(FlowAction.drop);
    const { act, handle } = policy;
    switch (act.kind) {
      case 'discard':
        return answer(FlowAction.discard, handle);
      case 'bypass':
        return answer(FlowAction.bypass, handle);
      case 'protect': {
        const { protocol, spi, destination: peer } = act.template;
        if (spi === 0) return answer(FlowAction.trap, handle);
        const sa = sad.findOutbound(policy.owner, { ...policy.scope, protocol, spi, destination: peer });
        return sa === undefined
          ? answer(FlowAction.drop, handle)
          : answer(FlowAction.protect, handle, sa.handle);
      }
    }
  };
}
