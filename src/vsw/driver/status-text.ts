import type { VswStatus } from './vsw-driver.ts';

function relayLines({ relay }: VswStatus): readonly string[] {
  if (relay === undefined) return [];
  const { upstream } = relay;
  const from =
    upstream === undefined
      ? 'nothing yet'
      : upstream.kind === 'file'
        ? `${upstream.path}${upstream.reason === undefined ? '' : ` (${upstream.reason})`}`
        : `openconfigd ${upstream.target}${upstream.kind === 'lost' ? `, lost: ${upstream.reason}` : ''}`;
  const filtered =
    relay.filteredChanges === 0 ? '' : `; ${relay.filteredChanges} ipsec lines of it not passed on`;
  const { heldTunnels } = relay;
  const until = relay.vsw === 'lost' ? 'vsw is restarted' : 'an agent has brought what charon has';
  return [
    `vsw:       ${relay.vsw}`,
    `upstream:  ${from}${filtered}`,
    ...(heldTunnels.length === 0 ? [] : [`closed:    ${heldTunnels.join(', ')}, until ${until}`]),
  ];
}

/** What a person reads of a status as the driver sends it. */
export function formatVswStatus(json: string): string {
  const status: VswStatus = JSON.parse(json);
  const lines = [
    `state:     ${status.problem === undefined ? 'ready' : `not ready: ${status.problem}`}`,
    `via:       ${status.via}${status.isDeaf ? ', and PF_KEY for SAs as vsw is deaf: restart it when it suits' : ''}`,
    ...relayLines(status),
    ...status.pfkey.map(({ vrf, problem }) => `PF_KEY:    ${vrf} ${problem ?? 'connected'}`),
    `SAs:       ${status.sas}`,
    `policies:  ${status.policies}`,
    ...status.slots.map(({ vrf, direction, used, nextCollisionOdds }) => {
      const odds = `${(100 * nextCollisionOdds).toFixed(1)} %`;
      const where = direction === 'both' ? vrf : `${vrf} ${direction}`;
      return `slots:     ${where} ${used} of 127; the next SPI of a peer's choice collides with odds of ${odds}`;
    }),
  ];
  return lines.join('\n');
}
