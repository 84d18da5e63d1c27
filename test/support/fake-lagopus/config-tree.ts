import { choiceOf, entriesOf, matchLeaf, missingMandatory } from './config-schema.ts';

export type Change = { readonly isSet: boolean; readonly path: readonly string[] };

/** A leaf's path joined by blanks, its value apart: a configuration is a set of such lines. */
type Lines = ReadonlyMap<string, string | undefined>;

function compareNames(a: string, b: string): number {
  const numbers = [Number(a), Number(b)];
  if (numbers.every(Number.isInteger)) return (numbers[0] ?? 0) - (numbers[1] ?? 0);
  return a < b ? -1 : a > b ? 1 : 0;
}

function comparePaths(a: readonly string[], b: readonly string[]): number {
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const order = compareNames(a[at] ?? '', b[at] ?? '');
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Configuration as openconfigd holds it: typed leaves below keyed lists. */
export class ConfigTree {
  readonly #lines: Map<string, string | undefined>;

  constructor(lines: Lines = new Map()) {
    this.#lines = new Map(lines);
  }

  copy(): ConfigTree {
    return new ConfigTree(this.#lines);
  }

  /** @param keepsOtherCase the fault after a discard: a choice's other case stays. */
  set(words: readonly string[], keepsOtherCase = false): string {
    const match = matchLeaf(words);
    if (match.kind !== 'leaf') return `${match.kind}\n`;
    const choice = choiceOf(match.path);
    if (choice !== undefined && !keepsOtherCase) {
      const prefix = `${choice.choice.join(' ')} `;
      for (const line of this.#lines.keys()) {
        const other = line.startsWith(prefix) ? line.slice(prefix.length).split(' ')[0] : undefined;
        if (other !== undefined && other !== choice.name) this.#lines.delete(line);
      }
    }
    this.#lines.set(match.path.join(' '), match.value);
    return 'Success';
  }

  delete(words: readonly string[]): string {
    const text = words.join(' ');
    const gone = [...this.#lines].filter(
      ([line, value]) => line === text || line.startsWith(`${text} `) || `${line} ${value}` === text,
    );
    for (const [line] of gone) this.#lines.delete(line);
    return gone.length === 0 ? 'NoMatch\n' : 'Success';
  }

  get mandatoryError(): string | undefined {
    return missingMandatory([...this.#lines.keys()].map((line) => line.split(' ')));
  }

  /** List entries, which decide how long a commit takes. */
  get entryCount(): number {
    return this.paths().length - this.#lines.size;
  }

  /** In openconfigd's order; a list's entry is a line of its own before its leaves. */
  paths(): readonly (readonly string[])[] {
    const all = new Map<string, readonly string[]>();
    for (const [line, value] of this.#lines) {
      const path = line.split(' ');
      for (const entry of entriesOf(path)) all.set(entry.join(' '), entry);
      const whole = value === undefined ? path : [...path, value];
      all.set(whole.join(' '), whole);
    }
    return [...all.values()].sort(comparePaths);
  }

  commands(): string {
    return this.paths()
      .map((path) => `set ${path.join(' ')}\n`)
      .join('');
  }

  /** What `diff -U` of both command lists prints: sorted; in a changed stretch deletes come first. */
  changesFrom(before: ConfigTree): readonly Change[] {
    const old = before.paths();
    const now = this.paths();
    const changes: Change[] = [];
    let block: { deletes: Change[]; sets: Change[] } = { deletes: [], sets: [] };
    const flush = (): void => {
      changes.push(...block.deletes, ...block.sets);
      block = { deletes: [], sets: [] };
    };
    let i = 0;
    let j = 0;
    while (i < old.length || j < now.length) {
      const a = old[i];
      const b = now[j];
      const order = a === undefined ? 1 : b === undefined ? -1 : comparePaths(a, b);
      if (order === 0) {
        flush();
        i++;
        j++;
      } else if (order < 0 && a !== undefined) {
        block.deletes.push({ isSet: false, path: a });
        i++;
      } else if (b !== undefined) {
        block.sets.push({ isSet: true, path: b });
        j++;
      }
    }
    flush();
    return changes;
  }
}
