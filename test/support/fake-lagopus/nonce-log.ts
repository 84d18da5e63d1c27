export type SentNonce = {
  readonly vrf: string;
  readonly spi: number;
  readonly key: string;
  readonly sequence: number;
};

/** Every key and sequence number that ever left, over restarts of vsw: a pair twice is a broken GCM key. */
export class NonceLog {
  readonly #sent = new Set<string>();
  /** Those that left a second time. */
  readonly reused: SentNonce[] = [];

  note(nonce: SentNonce): void {
    const text = `${nonce.key} ${nonce.sequence}`;
    if (this.#sent.has(text)) this.reused.push(nonce);
    this.#sent.add(text);
  }
}
