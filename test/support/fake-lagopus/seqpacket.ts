import { type ChildProcess, spawn } from 'node:child_process';
import { onExit } from '../exit-hooks.ts';
import { inRepository } from '../repository.ts';

export type SeqpacketEvent =
  | { readonly kind: 'open'; readonly connection: number }
  | { readonly kind: 'packet'; readonly connection: number; readonly bytes: Buffer }
  | { readonly kind: 'end'; readonly connection: number };

const KINDS = ['open', 'packet', 'end'] as const;

/** A SOCK_SEQPACKET unix socket, by way of the tool `seqpacket-bridge` (its C file has the records). */
export class Seqpacket implements Disposable {
  readonly #child: ChildProcess;
  readonly #onEvent: (event: SeqpacketEvent) => void;
  readonly #forget: () => void;
  readonly #ready = Promise.withResolvers<void>();
  #rest: Buffer = Buffer.alloc(0);

  private constructor(verb: 'listen' | 'connect', path: string, onEvent: (event: SeqpacketEvent) => void) {
    this.#onEvent = onEvent;
    const tool = inRepository('build', 'test-tools', 'seqpacket-bridge');
    this.#child = spawn(tool, [verb, path], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#forget = onExit(() => this.#child.kill('SIGKILL'));
    let complaint = '';
    this.#child.stderr?.on('data', (text) => {
      complaint += String(text);
    });
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#child.once('error', this.#ready.reject);
    this.#child.once('close', () => this.#ready.reject(new Error(`seqpacket-bridge ended: ${complaint}`)));
  }

  /** @throws Error when the path cannot be bound. */
  static async listen(path: string, onEvent: (event: SeqpacketEvent) => void): Promise<Seqpacket> {
    const socket = new Seqpacket('listen', path, onEvent);
    await socket.#ready.promise;
    return socket;
  }

  /** @throws Error when nobody listens there. */
  static async connect(path: string, onEvent: (event: SeqpacketEvent) => void): Promise<Seqpacket> {
    const socket = new Seqpacket('connect', path, onEvent);
    await socket.#ready.promise;
    return socket;
  }

  send(connection: number, bytes: Uint8Array): void {
    this.#write(connection, 'packet', bytes);
  }

  end(connection: number): void {
    this.#write(connection, 'end', Buffer.alloc(0));
  }

  /** As the kernel does for a process that died: every connection ends. */
  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
    this.#forget();
  }

  #write(connection: number, kind: (typeof KINDS)[number], bytes: Uint8Array): void {
    const header = Buffer.alloc(9);
    header.writeUInt32LE(bytes.length + 5, 0);
    header.writeUInt32LE(connection, 4);
    header[8] = KINDS.indexOf(kind);
    this.#child.stdin?.write(Buffer.concat([header, bytes]));
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 4) {
      const end = 4 + this.#rest.readUInt32LE(0);
      if (this.#rest.length < end) return;
      const record = this.#rest.subarray(4, end);
      this.#rest = this.#rest.subarray(end);
      this.#ready.resolve();
      const connection = record.readUInt32LE(0);
      const kind = KINDS[record[4] ?? 0] ?? 'end';
      if (connection === 0) continue;
      this.#onEvent(
        kind === 'packet'
          ? { kind, connection, bytes: Buffer.from(record.subarray(5)) }
          : { kind, connection },
      );
    }
  }
}
