import { AgentError } from '../util/index.ts';
import type { ViciSection } from './section.ts';

/** Reads the text that charon sends as what it means, and refuses what it cannot mean. */
export class FieldReader {
  readonly #section: ViciSection;
  readonly #what: string | (() => string);

  /** `what` is the section as errors name it. */
  constructor(section: ViciSection, what: string | (() => string)) {
    this.#section = section;
    this.#what = what;
  }

  text(name: string): string {
    return this.#section.text(name) ?? this.#refuse(name, undefined, 'a value');
  }

  optionalText(name: string): string | undefined {
    return this.#section.text(name);
  }

  /** charon leaves a key out where it means no. */
  flag(name: string): boolean {
    return this.#section.text(name) === 'yes';
  }

  number(name: string): number {
    return this.optionalNumber(name) ?? this.#refuse(name, undefined, 'a number');
  }

  optionalNumber(name: string): number | undefined {
    const value = this.#section.value(name);
    if (value === undefined) return undefined;
    const { decimal } = value;
    if (decimal >= 0) return decimal;
    const { text } = value;
    return /^-?\d{1,15}$/.test(text) ? Number(text) : this.#refuse(name, text, 'a number');
  }

  counter(name: string): bigint {
    return this.optionalCounter(name) ?? this.#refuse(name, undefined, 'a value');
  }

  optionalCounter(name: string): bigint | undefined {
    const value = this.#section.value(name);
    if (value === undefined) return undefined;
    const { decimal } = value;
    if (decimal >= 0) return BigInt(decimal);
    const { text } = value;
    return /^\d{1,20}$/.test(text) ? BigInt(text) : this.#refuse(name, text, 'a counter');
  }

  /** A view into the message. */
  bytes(name: string): Uint8Array {
    return this.#section.bytes(name) ?? this.#refuse(name, undefined, 'bytes');
  }

  hex(name: string): number {
    return this.optionalHex(name) ?? this.#refuse(name, undefined, 'a hexadecimal number');
  }

  optionalHex(name: string): number | undefined {
    const value = this.#section.value(name);
    if (value === undefined) return undefined;
    const { hexadecimal } = value;
    if (hexadecimal >= 0) return hexadecimal;
    const { text } = value;
    return /^[0-9a-f]{1,8}$/i.test(text)
      ? Number.parseInt(text, 16)
      : this.#refuse(name, text, 'a hexadecimal number');
  }

  list(name: string): readonly string[] {
    return this.#section.list(name);
  }

  #refuse(name: string, text: string | undefined, expected: string): never {
    const found = text === undefined ? 'nothing' : `"${text}"`;
    const what = typeof this.#what === 'string' ? this.#what : this.#what();
    throw new AgentError(`${what}: ${name} is ${found}, expected ${expected}`, { code: 'malformed' });
  }
}
