/**
 * Passes connections on. By hand, or in a namespace: node forward.ts PORT SOCKET listens on the loopback's
 * TCP port and connects to a unix socket.
 */
import { once } from 'node:events';
import {
  createConnection,
  createServer,
  type ListenOptions,
  type NetConnectOpts,
  type Server,
} from 'node:net';

/** Connections to `listen` become connections to `connect`; each ends with the other. */
export async function forward(listen: ListenOptions, connect: NetConnectOpts): Promise<Server> {
  const server = createServer((near) => {
    const far = createConnection(connect);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', () => from.destroy());
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  server.listen(listen);
  await once(server, 'listening');
  return server;
}

if (import.meta.main) {
  const [port, path] = process.argv.slice(2);
  if (port === undefined || path === undefined) throw new Error('usage: forward.ts PORT SOCKET');
  await forward({ host: '127.0.0.1', port: Number(port) }, { path });
}
