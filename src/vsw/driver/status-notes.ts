import type { VswStatus } from './vsw-driver.ts';

/** What an operator should know of a driver that serves: what is not as it should be, and what to do. */
export function statusNotes({ relay, pfkey, isDeaf }: VswStatus): readonly string[] {
  const notes = pfkey.flatMap(({ vrf, problem }) =>
    problem === undefined ? [] : [`PF_KEY of ${vrf} is lost (${problem}): what vsw holds cannot be read`],
  );
  if (relay === undefined) return notes;
  const { vsw, upstream, filteredChanges, heldTunnels } = relay;
  if (vsw !== 'ready') {
    notes.push(
      `vsw is deaf (${vsw}): the router's configuration does not reach it${isDeaf ? ', SAs go through PF_KEY' : ''}; ` +
        'restart it when it suits',
    );
  }
  if (upstream?.kind === 'lost') {
    notes.push(`openconfigd ${upstream.target} is lost (${upstream.reason}): its changes do not reach vsw`);
  }
  if (upstream?.kind === 'file' && upstream.reason !== undefined) {
    notes.push(`router file ${upstream.path}: ${upstream.reason}`);
  }
  if (filteredChanges > 0) {
    notes.push(
      `${filteredChanges} \`security ipsec\` lines of upstream are kept from vsw: take them out of its configuration`,
    );
  }
  if (heldTunnels.length > 0) {
    const state = vsw === 'lost' ? 'stay closed until vsw is restarted' : 'closed until an agent is in sync';
    notes.push(`tunnel interfaces ${state}: ${heldTunnels.join(', ')}`);
  }
  return notes;
}
