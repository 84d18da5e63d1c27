import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, ViciClient } from '../../../src/vici/index.ts';

/** Rekeys asked for at once on one connection. */
const BURST = 10;
/** A charon that is not there is looked for again this often. */
const PATIENCE_MS = 200;

/**
 * Asks charons for rekeys of one CHILD_SA after the other, from both ends and so now and then for the same
 * one at the same time, for as long as it lives and through every absence of a charon.
 */
export class RekeyStorm implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #loops: Promise<void>[];
  readonly #spared: ReadonlySet<string>;
  #asked = 0;

  /** `perSecond` rekeys asked of each charon; none of the CHILD_SAs with `spared` names. */
  constructor(viciUris: readonly string[], perSecond: number, spared: ReadonlySet<string>) {
    this.#spared = spared;
    this.#loops = viciUris.map((uri) => this.#run(uri, (BURST * 1_000) / perSecond));
  }

  /** Rekeys asked for so far, both ends together. */
  get asked(): number {
    return this.#asked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
  }

  async #run(uri: string, pauseMs: number): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await using client = new ViciClient({ uri });
        while (!signal.aborted) await this.#round(client, pauseMs);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof AgentError)) throw error;
        await sleep(PATIENCE_MS);
      }
    }
  }

  /** Every CHILD_SA once, in random order. */
  async #round(client: ViciClient, pauseMs: number): Promise<void> {
    const { signal } = this.#stop;
    const children: { ikeId: number; childId: number; rank: number }[] = [];
    for await (const ike of client.listSaSummaries({ noblock: true, signal })) {
      for (const { uniqueId: childId, name, state } of ike.children) {
        if (state === 'INSTALLED' && !this.#spared.has(name))
          children.push({ ikeId: ike.uniqueId, childId, rank: Math.random() });
      }
    }
    children.sort((a, b) => a.rank - b.rank);
    for (let first = 0; first < children.length; first += BURST) {
      const burst = children.slice(first, first + BURST);
      // One that was replaced since it was listed is not found, which is no failure.
      await Promise.all(burst.map(({ ikeId, childId }) => client.rekey({ ikeId, childId }, { signal })));
      this.#asked += burst.length;
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
    if (children.length === 0) await sleep(PATIENCE_MS);
  }
}
