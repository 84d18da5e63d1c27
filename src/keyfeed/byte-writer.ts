const INITIAL_BYTES = 256;

/** Appends big-endian values to bytes that grow. */
export class ByteWriter {
  #bytes = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    const position = this.#grow(1);
    this.#view.setUint8(position, value);
  }

  u16(value: number): void {
    const position = this.#grow(2);
    this.#view.setUint16(position, value);
  }

  u32(value: number): void {
    const position = this.#grow(4);
    this.#view.setUint32(position, value);
  }

  u64(value: bigint): void {
    const position = this.#grow(8);
    this.#view.setBigUint64(position, value);
  }

  bytes(value: Uint8Array): void {
    const start = this.#grow(value.length);
    this.#bytes.set(value, start);
  }

  /** Writes over a u16 that is there already. */
  patchU16(position: number, value: number): void {
    this.#view.setUint16(position, value);
  }

  patchU32(position: number, value: number): void {
    this.#view.setUint32(position, value);
  }

  /** What was written: a view that the next write may detach. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes room and gives its position. Replaces `#view`: call it before reading that. */
  #grow(count: number): number {
    const start = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const old = this.#bytes;
      this.#bytes = new Uint8Array(Math.max(this.#length, old.length * 2));
      this.#view = new DataView(this.#bytes.buffer);
      this.#bytes.set(old);
      // It may have held a key.
      old.fill(0);
    }
    return start;
  }
}
