import {
  type ActualPolicy,
  type ActualSa,
  encryptionAlgorithm,
  formatSpi,
  integrityAlgorithm,
  type Mark,
  type PolicyAction,
  type TrafficSelector,
} from '../sad/index.ts';
import type { ChildSaView, DataplanePort, TunnelControl } from '../sync/index.ts';
import { assertNever } from '../util/index.ts';
import { askIfPossible } from './ask-if-possible.ts';
import type { PolicyEntry, SadEntry, SadReport, ScopeReport } from './reports.ts';

function describeAlgorithm(encryption: number | undefined, integrity: number | undefined): string {
  const names = [
    encryption === undefined
      ? undefined
      : (encryptionAlgorithm(encryption)?.charonName ?? `ENCR ${encryption}`),
    integrity === undefined ? undefined : (integrityAlgorithm(integrity)?.charonName ?? `AUTH ${integrity}`),
  ];
  return names.filter((name) => name !== undefined).join('/');
}

function describeSelector({ firstAddress, lastAddress, protocol, ports }: TrafficSelector): string {
  const addresses = firstAddress === lastAddress ? firstAddress : `${firstAddress}-${lastAddress}`;
  const isAnyPort = ports.first === 0 && ports.last === 65_535;
  if (protocol === 0 && isAnyPort) return addresses;
  const port = isAnyPort
    ? ''
    : `/${ports.first === ports.last ? ports.first : `${ports.first}-${ports.last}`}`;
  return `${addresses}[${protocol === 0 ? 'any' : protocol}${port}]`;
}

function describeAction(action: PolicyAction): string {
  switch (action.kind) {
    case 'protect': {
      const { protocol, spi } = action.template;
      return `${protocol} ${spi === undefined ? 'trap' : formatSpi(spi)}`;
    }
    case 'bypass':
    case 'discard':
      return action.kind;
    default:
      return assertNever(action, 'policy action');
  }
}

function toScope(
  innerVrf: string | undefined,
  { ifId, mark }: { readonly ifId?: number | undefined; readonly mark?: Mark | undefined },
): ScopeReport {
  const hex = (value: number): string => `0x${value.toString(16)}`;
  return {
    vrf: innerVrf ?? null,
    ifId: ifId ?? null,
    mark: mark === undefined ? null : `${hex(mark.value)}/${hex(mark.mask)}`,
  };
}

/** One SA, with what charon calls its CHILD_SA. */
export function toSadEntry({ sa, usage, ageMs }: ActualSa, childSa: string | undefined): SadEntry {
  const { counters } = usage;
  const drops =
    counters.replayDrops + counters.integrityFailures + counters.selectorDrops + counters.malformedDrops;
  return {
    direction: sa.id.direction,
    protocol: sa.id.protocol,
    spi: formatSpi(sa.id.spi),
    source: sa.source,
    destination: sa.id.destination,
    encapsulation: sa.udpEncapsulation === undefined ? 'none' : 'udp',
    algorithm: describeAlgorithm(sa.encryption, sa.integrity),
    ...toScope(sa.innerVrf, sa.id),
    reqid: sa.reqid,
    ageSeconds: Number(ageMs / 1000n),
    packets: counters.packets.toString(),
    bytes: counters.bytes.toString(),
    drops: drops.toString(),
    childSa: childSa ?? null,
  };
}

function toPolicyEntry({ policy }: ActualPolicy): PolicyEntry | undefined {
  const { direction } = policy.id;
  if (direction === 'forward') return undefined;
  return {
    direction,
    source: describeSelector(policy.id.source),
    destination: describeSelector(policy.id.destination),
    ...toScope(policy.id.innerVrf, policy.id),
    action: describeAction(policy.action),
    priority: policy.priority,
  };
}

/** The dataplane's listing with charon's names; inbound SPIs are unique, outbound ones within a peer. */
function toSadReport(
  listing: { readonly sas: readonly ActualSa[]; readonly policies: readonly ActualPolicy[] },
  children: readonly ChildSaView[],
): SadReport {
  const inbound = new Map(children.map((child) => [child.inboundSpi, child]));
  const outbound = new Map(children.map((child) => [child.outboundSpi, child]));
  return {
    sas: listing.sas.map((actual) => {
      const { direction, spi } = actual.sa.id;
      const child = (direction === 'inbound' ? inbound : outbound).get(spi);
      return toSadEntry(actual, child && `${child.name}{${child.childId}}`);
    }),
    policies: listing.policies.map(toPolicyEntry).filter((entry) => entry !== undefined),
  };
}

/** Asks the dataplane, and charon for names if it answers. */
export async function readSad(
  dataplane: Pick<DataplanePort, 'listSas' | 'listPolicies'>,
  tunnels: Pick<TunnelControl, 'listChildSas'>,
  { signal }: { readonly signal: AbortSignal },
): Promise<SadReport> {
  const [{ sas }, { policies }, children = []] = await Promise.all([
    dataplane.listSas(new Uint8Array(0), { signal }),
    dataplane.listPolicies({ signal }),
    askIfPossible((limited) => tunnels.listChildSas({ signal: limited }), { signal }),
  ]);
  return toSadReport({ sas, policies }, children);
}
