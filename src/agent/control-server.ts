import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { AgentError, errorMessage, type Logger } from '../util/index.ts';
import { listenOnUnix } from './listen-unix.ts';
import type { DiffReport, ExplainReport, PlanReport, SadReport, StatusReport } from './reports.ts';

type Call = { readonly signal: AbortSignal };

/** What the control socket serves; every call is a fresh look. */
export type ControlHandlers = {
  readonly status: () => Promise<StatusReport>;
  readonly sad: (call: Call) => Promise<SadReport>;
  readonly diff: (call: Call) => Promise<DiffReport>;
  readonly plan: (call: Call) => Promise<PlanReport>;
  /** The SPI as a person wrote it. */
  readonly explain: (spi: string, call: Call) => Promise<ExplainReport>;
};

/** No question on this socket may take longer. */
const REQUEST_DEADLINE_MS = 10_000;

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

/** Undefined when nothing is served there. */
function ask(handlers: ControlHandlers, url: string, call: Call): Promise<unknown> | undefined {
  const [, name, argument, ...rest] = url.split('/');
  if (rest.length > 0) return undefined;
  if (name === 'explain' && argument !== undefined) return handlers.explain(argument, call);
  if (argument !== undefined) return undefined;
  switch (name) {
    case 'status':
      return handlers.status();
    case 'sad':
    case 'diff':
    case 'plan':
      return handlers[name](call);
    default:
      return undefined;
  }
}

/**
 * HTTP and JSON on a unix socket that only its owner opens, or the group as well: GET /status, /sad, /diff, /plan and
 * /explain/SPI. The command line asks here.
 *
 * @throws AgentError `busy` when another agent serves the same socket, `invalid-input` when
 *   something else is in its place
 */
export async function startControlServer(
  path: string,
  handlers: ControlHandlers,
  logger: Logger,
  access: { readonly groupAccess: boolean } = { groupAccess: false },
): Promise<AsyncDisposable> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const signal = AbortSignal.timeout(REQUEST_DEADLINE_MS);
    try {
      if (request.method !== 'GET') return send(response, 405, { error: 'only GET' });
      const report = ask(handlers, request.url ?? '', { signal });
      if (report === undefined) {
        return send(response, 404, {
          error: `no ${request.url}: ask /status, /sad, /diff, /plan or /explain/SPI`,
        });
      }
      send(response, 200, await report);
    } catch (error) {
      const isInput = error instanceof AgentError && error.code === 'invalid-input';
      send(response, isInput ? 400 : 503, { error: errorMessage(error) });
    }
  };
  const server = createServer((request, response) => {
    void answer(request, response);
  });
  await listenOnUnix(server, { path, setting: 'control.socket', ...access });
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
