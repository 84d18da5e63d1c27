import { Counter, Gauge, type Registry } from 'prom-client';
import type { StatusReport } from './reports.ts';

type Labels = Readonly<Record<string, string>>;
type Sample = { readonly labels?: Labels; readonly value: number };

type Description = {
  readonly kind: 'gauge' | 'counter';
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly samples: (status: StatusReport) => readonly Sample[];
};

function one(value: number): readonly Sample[] {
  return [{ value }];
}

/** A sample for each property, under this label. */
function each(label: string, values: Readonly<Record<string, number>>): readonly Sample[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }));
}

function summary({
  added,
  updated,
  deleted,
  failed,
  unknown,
}: StatusReport['cycles']['sums']): readonly Sample[] {
  return each('result', { added, updated, deleted, failed, unknown });
}

function links({ plugin, vici, dataplane }: StatusReport): readonly Sample[] {
  const used = Object.entries({ plugin, vici, dataplane });
  return used.flatMap(([link, report]) =>
    report === null ? [] : [{ labels: { link }, value: report.state === 'connected' ? 1 : 0 }],
  );
}

function counts(what: 'sas' | 'policies'): Description['samples'] {
  return ({ desired, actual }) =>
    each('view', { desired: desired[what], ...(actual === null ? {} : { actual: actual[what] }) });
}

function slots(value: (table: StatusReport['spiSlots'][number]) => number): Description['samples'] {
  return ({ spiSlots }) =>
    spiSlots.map((table) => ({
      labels: { vrf: table.vrf, direction: table.direction },
      value: value(table),
    }));
}

/** Everything `ipsec-agent status --json` tells in numbers. No SPI is a label. */
const DESCRIPTIONS: readonly Description[] = [
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_info',
    help: 'The version of the agent and where its SAs come from; always 1',
    labels: ['version', 'source'],
    samples: ({ version, source }) => [{ labels: { version, source }, value: 1 }],
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_ready',
    help: "Whether charon's requests are answered and the dataplane was compared",
    samples: ({ isReady }) => one(isReady ? 1 : 0),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_link_up',
    help: 'Whether the agent is connected',
    labels: ['link'],
    samples: links,
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_sas',
    help: 'SAs that charon has (desired) and that the dataplane holds (actual)',
    labels: ['view'],
    samples: counts('sas'),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_policies',
    help: 'Policies that charon has (desired) and that the dataplane holds (actual)',
    labels: ['view'],
    samples: counts('policies'),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_spi_slots_used',
    help: 'Places for SPIs that are taken in the dataplane, where it has few',
    labels: ['vrf', 'direction'],
    samples: slots(({ used }) => used),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_spi_slots',
    help: 'Places for SPIs in the dataplane, where it has few',
    labels: ['vrf', 'direction'],
    samples: slots((table) => table.slots),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_spi_collision_odds',
    help: 'How likely the next SPI that a peer draws finds its place taken, 0 to 1',
    labels: ['vrf', 'direction'],
    samples: slots(({ collisionOdds }) => collisionOdds),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_dataplane_notes',
    help: 'What the dataplane has to say to a person: `ipsec-agent status` shows it',
    samples: ({ dataplaneNotes }) => one(dataplaneNotes.length),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_pending',
    help: 'Requests, repairs and rekeys that are not done yet',
    samples: ({ pending }) => one(pending),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_repairs',
    help: 'Repairs that failed and are tried again',
    samples: ({ repairs }) => one(repairs.length),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_rekeys_wanted',
    help: 'SAs that only a rekey brings back',
    samples: ({ rekeys }) => one(rekeys.wanted),
  },
  {
    kind: 'counter',
    name: 'lagopus_ipsec_rekeys_asked_total',
    help: 'Rekeys charon was asked for',
    samples: ({ rekeys }) => one(rekeys.asked),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_setups_waiting',
    help: 'CHILD_SAs that could not be set up and are initiated again',
    samples: ({ setups }) => one(setups.length),
  },
  {
    kind: 'counter',
    name: 'lagopus_ipsec_initiations_asked_total',
    help: 'CHILD_SAs charon was asked to initiate again',
    samples: ({ totals }) => one(totals.initiations),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_withheld',
    help: "Entries that charon does not have and that stay: another charon's (foreign), too many at once (braked)",
    labels: ['kind'],
    samples: ({ withheld: { foreign, braked } }) =>
      each('kind', { foreign: foreign.length, braked: braked.length }),
  },
  {
    kind: 'counter',
    name: 'lagopus_ipsec_operations_total',
    help: 'Operations sent to the dataplane',
    samples: ({ totals }) => one(totals.operations),
  },
  {
    kind: 'counter',
    name: 'lagopus_ipsec_results_total',
    help: 'What became of operations, of requests and of repairs',
    labels: ['result'],
    samples: ({ totals }) => summary(totals),
  },
  {
    kind: 'counter',
    name: 'lagopus_ipsec_cycles_total',
    help: 'Comparisons with the dataplane',
    samples: ({ totals }) => one(totals.cycles),
  },
  {
    kind: 'counter',
    name: 'lagopus_ipsec_cycle_results_total',
    help: 'What became of the operations of comparisons',
    labels: ['result'],
    samples: ({ cycles }) => summary(cycles.sums),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_last_cycle_results',
    help: 'What became of the operations of the last comparison',
    labels: ['result'],
    samples: ({ cycles }) => (cycles.last === null ? [] : summary(cycles.last)),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_last_cycle_seconds',
    help: 'How long the last comparison took, its repair included',
    samples: ({ cycles }) => (cycles.last === null ? [] : one(cycles.last.durationMs / 1000)),
  },
  {
    kind: 'counter',
    name: 'lagopus_ipsec_restarts_total',
    help: 'How often charon and the dataplane were seen to start anew',
    labels: ['of'],
    samples: ({ restarts }) => each('of', restarts),
  },
  {
    kind: 'counter',
    name: 'lagopus_ipsec_charon_listings_total',
    help: "charon's listings over VICI",
    labels: ['completeness'],
    samples: ({ audit }) =>
      each('completeness', { complete: audit.completeListings, incomplete: audit.incompleteListings }),
  },
  {
    kind: 'gauge',
    name: 'lagopus_ipsec_audit_findings',
    help: 'SAs on which charon and its plugin do not agree: untold by the plugin, unlisted by charon',
    labels: ['kind'],
    samples: ({ audit }) => {
      const count = (kind: string): number =>
        audit.findings.filter((finding) => finding.kind === kind).length;
      return each('kind', { untold: count('untold'), unlisted: count('unlisted') });
    },
  },
];

/** Registers the numbers of a status; `render` reads it once for all of them. */
export class StatusMetrics {
  readonly #registry: Registry;
  readonly #readStatus: () => Promise<StatusReport>;
  readonly #updates: ((status: StatusReport) => void)[];

  constructor(registry: Registry, readStatus: () => Promise<StatusReport>) {
    this.#registry = registry;
    this.#readStatus = readStatus;
    this.#updates = DESCRIPTIONS.map((description) => register(registry, description));
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Prometheus' text format, version 0.0.4. */
  async render(): Promise<string> {
    const status = await this.#readStatus();
    for (const update of this.#updates) update(status);
    return await this.#registry.metrics();
  }
}

function register(registry: Registry, description: Description): (status: StatusReport) => void {
  const { kind, name, help, labels = [], samples } = description;
  const configuration = { name, help, labelNames: [...labels], registers: [registry] };
  if (kind === 'gauge') {
    const gauge = new Gauge(configuration);
    return (status) => {
      gauge.reset();
      for (const sample of samples(status)) gauge.set(sample.labels ?? {}, sample.value);
    };
  }
  const counter = new Counter(configuration);
  return (status) => {
    counter.reset();
    for (const sample of samples(status)) counter.inc(sample.labels ?? {}, sample.value);
  };
}
