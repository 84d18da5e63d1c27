import { addressBytes } from '../util/index.ts';
import type { PolicyUser, PriorityClass } from './security-policy.ts';
import type { TrafficSelector } from './selector.ts';

/** Wider than everything a selector can subtract, so that classes never mix. */
const CLASS_WIDTH = 200_000;

const CLASS_START: Readonly<Record<PriorityClass, number>> = {
  pass: CLASS_WIDTH,
  // A trap yields to the tunnel it brought up by one, not by a class.
  default: 2 * CLASS_WIDTH,
  routed: 2 * CLASS_WIDTH,
  fallback: 3 * CLASS_WIDTH,
};

/** How many leading bits two byte strings of one length share. */
function sharedBits(first: Uint8Array, last: Uint8Array): number {
  for (let index = 0; index < first.length; index++) {
    const difference = (first[index] ?? 0) ^ (last[index] ?? 0);
    if (difference !== 0) return index * 8 + Math.clz32(difference) - 24;
  }
  return first.length * 8;
}

function prefixBits({ firstAddress, lastAddress }: TrafficSelector): number {
  return sharedBits(addressBytes(firstAddress), addressBytes(lastAddress));
}

function portBits({ ports }: TrafficSelector): number {
  return Math.clz32((ports.first ^ ports.last) & 0xffff) - 16;
}

/**
 * Where a policy stands when nobody ordered it by hand; lower is matched first. Same
 * order as Linux' backend of charon gives: by class, then narrower selectors first
 * (addresses weigh more than the protocol, the protocol more than ports, ports more
 * than an interface), a trap after the rest.
 */
export function automaticPriority({ id, priorityClass }: PolicyUser): number {
  const { source, destination } = id;
  const hasProtocol = source.protocol !== 0 || destination.protocol !== 0;
  return (
    CLASS_START[priorityClass] -
    (prefixBits(source) + prefixBits(destination)) * 512 -
    (hasProtocol ? 256 : 0) -
    (portBits(source) + portBits(destination)) * 4 -
    (id.interface === undefined ? 0 : 2) -
    (priorityClass === 'routed' ? 0 : 1)
  );
}
