import type { CharonDaemon } from '../test/support/index.ts';

const EVENTS = /\b((?:IKE_SA|(?:inbound |outbound )?CHILD_SA) \S+ established.*|closing CHILD_SA.*)/;

/** Follows a charon's log for what it says about SAs. */
export class CharonWords {
  readonly #charon: CharonDaemon;
  #readUpTo = 0;

  constructor(charon: CharonDaemon) {
    this.#charon = charon;
  }

  /** What is new since the last call, without time and thread. */
  async sinceLast(): Promise<string> {
    const log = await this.#charon.log();
    const lines = log.slice(this.#readUpTo).split('\n');
    this.#readUpTo = log.length;
    return lines.flatMap((line) => EVENTS.exec(line)?.[1] ?? []).join('\n');
  }
}
