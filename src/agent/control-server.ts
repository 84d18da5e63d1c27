import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { AgentError, errorMessage, type Logger } from '../util/index.ts';
import type { DiffReport, SadReport, StatusReport } from './reports.ts';

/** What the control socket serves; every call is a fresh look. */
export type ControlHandlers = {
  readonly status: () => StatusReport;
  readonly sad: (options: { readonly signal: AbortSignal }) => Promise<SadReport>;
  readonly diff: (options: { readonly signal: AbortSignal }) => Promise<DiffReport>;
};

/** No question on this socket may take longer. */
const REQUEST_DEADLINE_MS = 10_000;

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // Any other failure, a full backlog above all, is no proof that nobody is there.
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}

/** A dead predecessor's socket goes, and nothing else. */
async function makeWay(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new AgentError(`${path} is in the way and is not a socket: remove it, or set control.socket`, {
      code: 'invalid-input',
    });
  }
  if (await isAnswered(path)) {
    throw new AgentError(`another agent answers on ${path}: stop it, or set control.socket`, {
      code: 'busy',
    });
  }
  await unlink(path);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

async function listen(server: Server, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await makeWay(path);
  const previousUmask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } finally {
    process.umask(previousUmask);
  }
  await chmod(path, 0o600);
}

/**
 * HTTP and JSON on a unix socket that only root opens: GET /status, /sad and /diff.
 * The command line asks here.
 *
 * @throws AgentError `busy` when another agent serves the same socket, `invalid-input` when
 *   something else is in its place
 */
export async function startControlServer(
  path: string,
  handlers: ControlHandlers,
  logger: Logger,
): Promise<AsyncDisposable> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const signal = AbortSignal.timeout(REQUEST_DEADLINE_MS);
    try {
      if (request.method !== 'GET') return send(response, 405, { error: 'only GET' });
      switch (request.url) {
        case '/status':
          return send(response, 200, handlers.status());
        case '/sad':
          return send(response, 200, await handlers.sad({ signal }));
        case '/diff':
          return send(response, 200, await handlers.diff({ signal }));
        default:
          return send(response, 404, { error: `no ${request.url}: ask /status, /sad or /diff` });
      }
    } catch (error) {
      send(response, 503, { error: errorMessage(error) });
    }
  };
  const server = createServer((request, response) => {
    void answer(request, response);
  });
  await listen(server, path);
  server.on('error', (error) => logger.warn({ reason: error.message }, 'control socket failed'));
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      if (!server.listening) return;
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
