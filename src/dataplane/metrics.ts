import { Counter, Gauge, Registry } from 'prom-client';
import { dropReasons } from './drop-reasons.ts';

/** What is measured. */
export type MetricsSource = {
  readonly statistics: () => Readonly<Record<string, bigint>>;
  readonly sizes: () => { readonly sas: number; readonly policies: number };
};

/** Counters of traffic that is no drop, by the engine's names. */
const traffic: Readonly<Record<string, string>> = {
  tunPacketsRead: 'read from TUN devices; a segment counts once',
  tunPacketsWritten: 'written to TUN devices; a segment counts once',
  outerPacketsReceived: 'received from peers',
  outerPacketsSent: 'sent to peers or past the tunnels',
  bypassed: 'sent in clear, as BYPASS policies say',
  icmpTooBigSent: 'ICMP errors that told a sender what fits',
  inboundDummy: 'dummy packets received (RFC 4303, 2.6)',
  tapPacketsWritten: 'copied in clear to the tap',
  tapWritesFailed: 'that the tap did not take; they went their way',
};

/**
 * The dataplane's numbers for Prometheus: every reason to drop with the name of Linux' xfrm_stat, traffic, and
 * how much there is. No SPI and no address is a label.
 */
export class DataplaneMetrics {
  readonly #registry = new Registry();
  readonly #source: MetricsSource;
  readonly #drops = new Counter({
    name: 'lagopus_dataplane_drops_total',
    help: 'Packets dropped, by reason; xfrm is the counter of Linux that would go up',
    labelNames: ['reason', 'xfrm'],
    registers: [this.#registry],
  });
  readonly #packets = new Counter({
    name: 'lagopus_dataplane_packets_total',
    help: `Packets: ${Object.entries(traffic)
      .map(([name, meaning]) => `${name} ${meaning}`)
      .join('; ')}`,
    labelNames: ['kind'],
    registers: [this.#registry],
  });
  readonly #entries = new Gauge({
    name: 'lagopus_dataplane_entries',
    help: 'SAs and policies installed',
    labelNames: ['of'],
    registers: [this.#registry],
  });

  constructor(source: MetricsSource) {
    this.#source = source;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Prometheus' text format, version 0.0.4. */
  async render(): Promise<string> {
    const statistics = this.#source.statistics();
    this.#drops.reset();
    this.#packets.reset();
    for (const { name, xfrm = '' } of dropReasons) {
      this.#drops.inc({ reason: name, xfrm }, Number(statistics[name] ?? 0n));
    }
    for (const kind of Object.keys(traffic)) this.#packets.inc({ kind }, Number(statistics[kind] ?? 0n));
    const { sas, policies } = this.#source.sizes();
    this.#entries.set({ of: 'sas' }, sas);
    this.#entries.set({ of: 'policies' }, policies);
    return await this.#registry.metrics();
  }
}
