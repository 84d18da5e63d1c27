import type { Clock } from '../../util/index.ts';
import { type PfkeyMessage, SaState } from '../pfkey/index.ts';
import type { PfkeyLink } from './pfkey-link.ts';
import type { SaRequest } from './sa-request.ts';

export type SaPresence = 'absent' | 'visible' | 'mature';

type Identity = Pick<SaRequest, 'vrf' | 'name' | 'source'>;

/** Steps are short while a commit usually shows, and longer while a tick is waited for. */
const FIRST_STEP_MS = 4;
const LATER_STEP_MS = 20;
const FIRST_STEPS = 10;

function presenceOf({ errno, sa }: PfkeyMessage): SaPresence {
  if (errno !== 0 || sa === undefined) return 'absent';
  return sa.state === SaState.mature || sa.state === SaState.dying ? 'mature' : 'visible';
}

/** Reads back from vsw what it holds: the only sign that it did what it was told. */
export class SaReader {
  readonly #linkOf: (vrf: string) => PfkeyLink;
  readonly #clock: Clock;

  constructor(linkOf: (vrf: string) => PfkeyLink, clock: Clock) {
    this.#linkOf = linkOf;
    this.#clock = clock;
  }

  /** @throws AgentError when vsw cannot be asked */
  async presence({ vrf, name, source }: Identity): Promise<SaPresence> {
    const answer = await this.#linkOf(vrf).ask({
      kind: 'get',
      spi: name.spi,
      source,
      destination: name.destination,
    });
    answer.encryptionKey?.wipe();
    answer.integrityKey?.wipe();
    return presenceOf(answer);
  }

  /**
   * Asks until it is so; false when it is not after `timeoutMs`.
   * @throws AgentError when vsw cannot be asked
   */
  async until(sa: Identity, wanted: SaPresence, timeoutMs: number): Promise<boolean> {
    const deadlineMs = this.#clock.now() + timeoutMs;
    for (let step = 0; ; step += 1) {
      const presence = await this.presence(sa);
      if (presence === wanted || (wanted === 'visible' && presence === 'mature')) return true;
      if (this.#clock.now() >= deadlineMs) return false;
      await this.#clock.sleep(step < FIRST_STEPS ? FIRST_STEP_MS : LATER_STEP_MS);
    }
  }
}
