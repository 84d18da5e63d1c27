import { createServer, type Server } from 'node:http';
import { AgentError, errorMessage, type Logger } from '../util/index.ts';
import { listenOnUnix } from './listen-unix.ts';
import type { StatusMetrics } from './metrics.ts';

/** Where `metrics.listen` says: `unix:///path`, or `tcp://host:port` with IPv6 in brackets. */
export function parseMetricsAddress(
  address: string,
): { readonly path: string } | { readonly host: string; readonly port: number } | undefined {
  const path = /^unix:\/\/(\/.+)$/.exec(address)?.[1];
  if (path !== undefined) return { path };
  const [, bracketed, plain, digits] = /^tcp:\/\/(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

function listenOnTcp(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new AgentError(`cannot listen on ${host}:${port} (metrics.listen): ${error.message}`, {
          code: 'invalid-input',
          cause: error,
        }),
      ),
    );
    server.listen({ host, port }, resolve);
  });
}

/**
 * Serves GET /metrics to Prometheus. There is nothing secret in it, but how many tunnels there are
 * and whether they work; whoever reaches the address may read it.
 *
 * @throws AgentError `invalid-input` or `busy` when it cannot listen there
 */
export async function startMetricsServer(
  address: string,
  metrics: Pick<StatusMetrics, 'render' | 'contentType'>,
  logger: Logger,
): Promise<AsyncDisposable & { readonly address: string }> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('GET /metrics\n');
      return;
    }
    metrics.render().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(`${errorMessage(error)}\n`),
    );
  });
  const where = parseMetricsAddress(address);
  if (where === undefined) throw new AgentError(`${address} is no address`, { code: 'invalid-input' });
  if ('path' in where) await listenOnUnix(server, { path: where.path, setting: 'metrics.listen' });
  else {
    await listenOnTcp(server, where.host, where.port);
    if (!isLoopback(where.host)) {
      logger.warn({ address }, 'metrics are open to the network; there is no key and no name in them');
    }
  }
  server.on('error', (error) => logger.warn({ reason: error.message }, 'the metrics server failed'));
  const bound = server.address();
  return {
    address: bound !== null && typeof bound === 'object' ? `${bound.address}:${bound.port}` : address,
    async [Symbol.asyncDispose](): Promise<void> {
      if (!server.listening) return;
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
