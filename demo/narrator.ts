/** Prints what happens as it happens: the story with its time, and other programs' own words indented. */
export class Narrator {
  readonly #startedMs = performance.now();

  say(text: string): void {
    const seconds = ((performance.now() - this.#startedMs) / 1_000).toFixed(1);
    process.stdout.write(`${`${seconds} s`.padStart(7)}  ${text}\n`);
  }

  quote(text: string): void {
    const lines = text.trimEnd().split('\n');
    process.stdout.write(
      lines
        .map((line) => `         | ${line}`.trimEnd())
        .join('\n')
        .concat('\n'),
    );
  }

  blank(): void {
    process.stdout.write('\n');
  }
}
