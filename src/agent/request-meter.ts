import { Counter, Histogram, type Registry } from 'prom-client';
import type { SyncEngine } from '../sync/index.ts';
import type { Clock } from '../util/index.ts';
import type { LatencyReport, StatusReport } from './reports.ts';

/** Seconds; a dataplane in software answers within the first few, charon waits for the last ones. */
const BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2];

type Handle = SyncEngine['handle'];

/** Counts charon's requests by what they were answered with, and times them. */
export class RequestMeter {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #requests: Counter<'kind' | 'code'>;
  readonly #latency: Histogram<'kind'>;

  constructor(registry: Registry, clock: Pick<Clock, 'now'>) {
    const registers = [registry];
    this.#clock = clock;
    this.#requests = new Counter({
      name: 'lagopus_ipsec_requests_total',
      help: "charon's requests by the code they were answered with: ok, or why not",
      labelNames: ['kind', 'code'],
      registers,
    });
    this.#latency = new Histogram({
      name: 'lagopus_ipsec_request_seconds',
      help: "From charon's request to its answer",
      labelNames: ['kind'],
      buckets: BUCKETS,
      registers,
    });
  }

  /** The same function, measured. */
  measured(handle: Handle): Handle {
    return (request, options) => {
      const { kind } = request;
      const startMs = this.#clock.now();
      return handle(request, options).then((answer) => {
        this.#latency.observe({ kind }, (this.#clock.now() - startMs) / 1000);
        this.#requests.inc({ kind, code: answer.kind === 'ok' ? 'ok' : answer.code });
        return answer;
      });
    };
  }

  async requests(): Promise<StatusReport['requests']> {
    const { values } = await this.#requests.get();
    return values.map(({ labels, value }) => ({
      kind: String(labels.kind),
      code: String(labels.code),
      count: value,
    }));
  }

  async latency(): Promise<readonly LatencyReport[]> {
    const { values } = await this.#latency.get();
    const kinds = new Set(values.map(({ labels }) => String(labels.kind)));
    return [...kinds].map((kind) => {
      const own = values.filter(({ labels }) => labels.kind === kind);
      const sample = (suffix: string): number =>
        own.find(({ metricName }) => metricName?.endsWith(suffix))?.value ?? 0;
      return {
        kind,
        count: sample('_count'),
        sumSeconds: sample('_sum'),
        buckets: own
          .filter(({ labels }) => 'le' in labels && labels.le !== '+Inf')
          .map(({ labels, value }) => ({
            leSeconds: Number('le' in labels ? labels.le : Number.NaN),
            count: value,
          })),
      };
    });
  }
}
