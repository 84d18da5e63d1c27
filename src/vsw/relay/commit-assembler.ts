import type { Change } from './changes.ts';
import { type ConfigReply, ConfigType } from './messages.ts';

/** A whole transaction: `validate` asks for a verdict, `commit` is in force. */
export type Transaction = { readonly kind: 'commit' | 'validate'; readonly changes: readonly Change[] };

/** Puts a subscriber's stream of messages together to transactions. */
export class CommitAssembler {
  #changes: Change[] | undefined;

  /** The transaction this message completes, if it does. */
  push({ type, path }: ConfigReply): Transaction | undefined {
    switch (type) {
      case ConfigType.COMMIT_START:
      case ConfigType.VALIDATE_START:
        this.#changes = [];
        return undefined;
      case ConfigType.SET:
      case ConfigType.DELETE:
        this.#changes?.push({ kind: type === ConfigType.SET ? 'set' : 'delete', path });
        return undefined;
      case ConfigType.COMMIT_END:
      case ConfigType.VALIDATE_END: {
        const changes = this.#changes;
        this.#changes = undefined;
        if (changes === undefined) return undefined;
        return { kind: type === ConfigType.COMMIT_END ? 'commit' : 'validate', changes };
      }
      default:
        return undefined;
    }
  }
}

/** The messages of a transaction, in order; they are written one after the other with nothing in between. */
export function messagesOf({ kind, changes }: Transaction): readonly ConfigReply[] {
  const [first, last] =
    kind === 'commit'
      ? [ConfigType.COMMIT_START, ConfigType.COMMIT_END]
      : [ConfigType.VALIDATE_START, ConfigType.VALIDATE_END];
  return [
    { type: first, path: [] },
    ...changes.map((change) => ({
      type: change.kind === 'set' ? ConfigType.SET : ConfigType.DELETE,
      path: change.path,
    })),
    { type: last, path: [] },
  ];
}
