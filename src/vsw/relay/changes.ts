/** One line of a commit. The path's last word is a leaf's value. */
export type Change = { readonly kind: 'set' | 'delete'; readonly path: readonly string[] };

export type Path = readonly string[];

export function startsWith(path: Path, prefix: Path): boolean {
  return prefix.length <= path.length && prefix.every((word, index) => word === path[index]);
}

/**
 * Whether a change is in, or takes away, a VRF's `security ipsec`, which is the driver's: an upstream
 * entry of a name of ours would take its place, an upstream delete would remove ours.
 */
export function isIpsecChange({ kind, path }: Change): boolean {
  const [list, entry, , ...below] = path;
  if (list !== 'network-instances' || entry !== 'network-instance') return false;
  if (startsWith(below, ['security', 'ipsec'])) return true;
  return kind === 'delete' && below.length === 1 && below[0] === 'security';
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}

/** What upstream has told, so that after an interruption only the difference is passed on. */
export class ConfigMirror {
  readonly #paths = new Map<string, Path>();

  /** Everything below a path, as it would be sent to a new subscriber. */
  below(prefix: Path): readonly Change[] {
    return [...this.#paths.values()]
      .filter((path) => startsWith(path, prefix))
      .map((path) => ({ kind: 'set', path }));
  }

  apply(changes: readonly Change[]): void {
    for (const { kind, path } of changes) {
      if (kind === 'set') this.#paths.set(keyOf(path), path);
      else this.#remove(path);
    }
  }

  /** Takes over a complete listing of what is below a path; returns what differs. */
  replace(prefix: Path, listing: readonly Change[]): readonly Change[] {
    const now = new Map(listing.map(({ path }) => [keyOf(path), path]));
    const gone = this.below(prefix)
      .filter(({ path }) => !now.has(keyOf(path)))
      .map(({ path }) => ({ kind: 'delete', path }) as const);
    const added = [...now].flatMap(([key, path]) =>
      this.#paths.has(key) ? [] : [{ kind: 'set', path } as const],
    );
    const changes = [...gone, ...added];
    this.apply(changes);
    return changes;
  }

  #remove(prefix: Path): void {
    for (const [key, path] of this.#paths) if (startsWith(path, prefix)) this.#paths.delete(key);
  }
}
