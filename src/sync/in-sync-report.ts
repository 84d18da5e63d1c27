import type { LinkState } from './link-state.ts';
import type { CallOptions, DataplanePort } from './ports.ts';
import type { CycleSummary } from './status.ts';

type Up = LinkState & { readonly kind: 'up' };

/** Tells a dataplane that holds traffic back until then that a first comparison is done, once as its writer. */
export class InSyncReport {
  readonly #dataplane: Pick<DataplanePort, 'reportInSync'>;
  #told: Up | undefined;

  constructor(dataplane: Pick<DataplanePort, 'reportInSync'>) {
    this.#dataplane = dataplane;
  }

  /**
   * After a comparison. What was refused is no reason to wait: one bad entry would hold up all the others.
   *
   * @throws AgentError when the dataplane cannot be told
   */
  async after(summary: CycleSummary, link: Up, options: CallOptions): Promise<void> {
    if (!link.capabilities.waitsForInSync || this.#told === link || summary.unknown > 0) return;
    await this.#dataplane.reportInSync(options);
    this.#told = link;
  }
}
