import type { Logger } from '../util/index.ts';
import type { LinkReport } from './reports.ts';

/**
 * How one connection stands, for `ipsec-agent status`. Logs on transition only: a
 * peer that stays away is said once.
 */
export class LinkStatus {
  readonly #name: string;
  readonly #logger: Logger;
  #report: LinkReport = { state: 'connecting', peer: null, reason: null };

  constructor(name: string, logger: Logger) {
    this.#name = name;
    this.#logger = logger;
  }

  get report(): LinkReport {
    return this.#report;
  }

  connected(peer: string): void {
    if (this.#report.state === 'connected' && this.#report.peer === peer) return;
    this.#report = { state: 'connected', peer, reason: null };
    this.#logger.info({ link: this.#name, peer }, 'connected');
  }

  lost(reason: string): void {
    const previous = this.#report;
    this.#report = { state: 'connecting', peer: null, reason };
    if (previous.state === 'connected' || previous.reason !== reason) {
      this.#logger.warn({ link: this.#name, reason }, 'not connected, will retry');
    }
  }
}
