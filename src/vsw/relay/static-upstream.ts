import { readFileSync } from 'node:fs';
import { errorMessage, type Logger } from '../../util/index.ts';
import { type Change, isIpsecChange, type Path, startsWith } from './changes.ts';
import type { Upstream, UpstreamEvents, UpstreamStatus } from './upstream.ts';

/** Lines of a router file: "set network-instances network-instance vrf1 config enabled true". */
export function parseRouterFile(text: string): readonly Change[] {
  const changes: Change[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.match(/"[^"]*"|\S+/g) ?? [];
    if (words[0] === undefined || words[0].startsWith('#')) continue;
    // `commands` prints strings in quotes; what vsw is told has none.
    const [verb, ...path] = words.map((word) => word.replace(/^"(.*)"$/, '$1'));
    if (verb !== 'set' || path.length < 2) {
      throw new Error(
        `line ${index + 1}: expected "set PATH... VALUE", as openconfigd's \`commands\` prints`,
      );
    }
    changes.push({ kind: 'set', path });
  }
  const ipsec = changes.findIndex(isIpsecChange);
  if (ipsec !== -1) {
    throw new Error(`${changes[ipsec]?.path.join(' ')}: \`security ipsec\` is filled from charon only`);
  }
  return changes;
}

/** A router file in openconfigd's place; read each time vsw subscribes. */
export class StaticUpstream implements Upstream {
  readonly #path: string;
  readonly #events: UpstreamEvents;
  readonly #logger: Logger;
  #reason: string | undefined;

  constructor(path: string, events: UpstreamEvents, logger: Logger) {
    this.#path = path;
    this.#events = events;
    this.#logger = logger;
    this.#read();
  }

  get status(): UpstreamStatus {
    return { kind: 'file', path: this.#path, reason: this.#reason };
  }

  readonly subscribe = (_module: string, path: Path): void => {
    const changes = this.#read();
    if (changes === undefined) return;
    this.#events.onListing(
      path,
      changes.filter((change) => startsWith(change.path, path)),
    );
  };

  readonly answer = (): void => undefined;

  readonly register = (): Promise<undefined> => Promise.resolve(undefined);

  async [Symbol.asyncDispose](): Promise<void> {}

  #read(): readonly Change[] | undefined {
    try {
      const changes = parseRouterFile(readFileSync(this.#path, 'utf8'));
      this.#reason = undefined;
      return changes;
    } catch (error) {
      this.#reason = errorMessage(error);
      this.#logger.error({ file: this.#path, reason: this.#reason }, 'the router file cannot be used');
      return undefined;
    }
  }
}
