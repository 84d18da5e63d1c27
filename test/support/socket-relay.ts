import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** A unix socket that passes everything on to another one, and can be taken away. */
export class SocketRelay implements AsyncDisposable {
  readonly path: string;
  readonly #target: string;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  private constructor(path: string, target: string) {
    this.path = path;
    this.#target = target;
  }

  /** Nobody needs to listen on `target` yet. */
  static async listen(path: string, target: string): Promise<SocketRelay> {
    const relay = new SocketRelay(path, target);
    await relay.restore();
    return relay;
  }

  /** Ends every connection and takes the socket away. */
  async cut(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    await rm(this.path, { force: true });
  }

  /** Listens again. */
  async restore(): Promise<void> {
    const server = createServer((near) => this.#join(near));
    server.listen(this.path);
    await once(server, 'listening');
    this.#server = server;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cut();
  }

  #join(near: Socket): void {
    const far = createConnection(this.#target);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => from.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}
