import { timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';
import { InvariantError } from './agent-error.ts';

const REDACTED = '[secret]';

/**
 * Key material. Nothing that prints, logs or serializes it shows its bytes, and
 * `wipe` overwrites them. Copies the bytes it is made from: the caller wipes its own.
 */
export class SecretBytes {
  readonly #bytes: Uint8Array;
  #isWiped = false;

  constructor(bytes: Uint8Array) {
    // Not Buffer.from: its pool would share the memory with other strings.
    this.#bytes = new Uint8Array(bytes.length);
    this.#bytes.set(bytes);
  }

  get lengthBytes(): number {
    return this.#bytes.length;
  }

  get isWiped(): boolean {
    return this.#isWiped;
  }

  /** Gives the bytes themselves for the length of the call; `use` must not keep them. */
  reveal<T>(use: (bytes: Uint8Array) => T): T {
    if (this.#isWiped) throw new InvariantError('a wiped key was used');
    return use(this.#bytes);
  }

  /** Compares in constant time. */
  equals(other: SecretBytes): boolean {
    return (
      this.#bytes.length === other.#bytes.length &&
      !this.#isWiped &&
      !other.#isWiped &&
      timingSafeEqual(this.#bytes, other.#bytes)
    );
  }

  wipe(): void {
    this.#bytes.fill(0);
    this.#isWiped = true;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
