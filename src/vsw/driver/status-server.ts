import { mkdir, unlink } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { dirname } from 'node:path';
import { AgentError, errorMessage } from '../../util/index.ts';
import type { VswStatus } from './vsw-driver.ts';

/** Writes the status as JSON to whoever connects. For root only. */
export class StatusServer implements AsyncDisposable {
  readonly #server: Server;

  constructor(status: () => VswStatus) {
    this.#server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.end(`${JSON.stringify(status())}\n`);
    });
  }

  /** @throws AgentError */
  async listen(path: string): Promise<void> {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await unlink(path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
      const umask = process.umask(0o177);
      try {
        await new Promise<void>((resolve, reject) => {
          this.#server.once('error', reject);
          this.#server.listen(path, resolve);
        });
      } finally {
        process.umask(umask);
      }
    } catch (cause) {
      throw new AgentError(`cannot listen on ${path}: ${errorMessage(cause)}`, {
        code: 'unavailable',
        cause,
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
