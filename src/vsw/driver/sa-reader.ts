import type { Clock } from '../../util/index.ts';
import { Errno, type PfkeyMessage, SaState } from '../pfkey/index.ts';
import type { PfkeyLink } from './pfkey-link.ts';
import type { SaRequest } from './sa-request.ts';

/**
 * `foreign`: vsw has that SPI, with other keys or outer addresses, or reserved by somebody (GETSPI); it ignores
 * what we tell of it then.
 */
export type SaPresence = 'absent' | 'foreign' | 'visible' | 'mature';

type Identity = Pick<SaRequest, 'vrf' | 'name' | 'source' | 'encryptionKey' | 'integrityKey'>;

/** Steps are short while a commit usually shows, and longer while a tick is waited for. */
const FIRST_STEP_MS = 4;
const LATER_STEP_MS = 20;
const FIRST_STEPS = 10;
/** So many ask at these steps; when more do, each asks less often: vsw writes a log line for every question. */
const CROWD = 8;

function isSame(answer: PfkeyMessage, { name, source, encryptionKey, integrityKey }: Identity): boolean {
  const hasIntegrity = integrityKey.lengthBytes > 0;
  return (
    answer.source?.address === source &&
    answer.destination?.address === name.destination &&
    answer.encryptionKey?.equals(encryptionKey) === true &&
    (!hasIntegrity || answer.integrityKey?.equals(integrityKey) === true)
  );
}

function presenceOf(answer: PfkeyMessage, wanted: Identity): SaPresence {
  const { errno, sa } = answer;
  if (errno === Errno.ENOENT) return 'absent';
  if (errno !== 0 || sa === undefined || !isSame(answer, wanted)) return 'foreign';
  return sa.state === SaState.mature || sa.state === SaState.dying ? 'mature' : 'visible';
}

/** Reads back from vsw what it holds: the only sign that it did what it was told. */
export class SaReader {
  readonly #linkOf: (vrf: string) => PfkeyLink;
  readonly #clock: Clock;
  readonly #isHeld: () => boolean;
  #waiting = 0;

  /** @param isHeld while no tunnel interface is open yet: vsw does not tick before */
  constructor(linkOf: (vrf: string) => PfkeyLink, clock: Clock, isHeld: () => boolean) {
    this.#linkOf = linkOf;
    this.#clock = clock;
    this.#isHeld = isHeld;
  }

  /** @throws AgentError when vsw cannot be asked */
  async presence(wanted: Identity): Promise<SaPresence> {
    const { vrf, name, source } = wanted;
    const { spi, destination } = name;
    const answer = await this.#linkOf(vrf).ask({ kind: 'get', spi, source, destination });
    try {
      return presenceOf(answer, wanted);
    } finally {
      answer.encryptionKey?.wipe();
      answer.integrityKey?.wipe();
    }
  }

  /**
   * Asks until it is so; false when it is not after `timeoutMs`, or somebody else's is there. While no tunnel
   * interface is open nothing matures, and nothing passes: what is visible then counts as mature.
   * @throws AgentError when vsw cannot be asked
   */
  async until(sa: Identity, wanted: 'absent' | 'visible' | 'mature', timeoutMs: number): Promise<boolean> {
    const deadlineMs = this.#clock.now() + timeoutMs;
    this.#waiting += 1;
    try {
      for (let step = 0; ; step += 1) {
        const presence = await this.presence(sa);
        if (presence === 'foreign') return wanted === 'absent';
        if (presence === wanted || (wanted === 'visible' && presence === 'mature')) return true;
        if (wanted === 'mature' && presence === 'visible' && this.#isHeld()) return true;
        if (this.#clock.now() >= deadlineMs) return false;
        const stepMs = step < FIRST_STEPS ? FIRST_STEP_MS : LATER_STEP_MS;
        await this.#clock.sleep(stepMs * Math.max(1, this.#waiting / CROWD));
      }
    } finally {
      this.#waiting -= 1;
    }
  }
}
