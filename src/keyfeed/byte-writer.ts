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
    this.#view.setUint8(this.#grow(1), value);
  }

  u16(value: number): void {
    this.#view.setUint16(this.#grow(2), value);
  }

  u32(value: number): void {
    this.#view.setUint32(this.#grow(4), value);
  }

  u64(value: bigint): void {
    this.#view.setBigUint64(this.#grow(8), value);
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
