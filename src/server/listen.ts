import { lstat, mkdir, readFile, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import { AgentError, errorMessage } from '../util/index.ts';
import type { ListenConfig } from './listen-config.ts';

const UNIX = 'unix://';
const TCP = 'tcp://';

/** Whether a process accepts connections there; false when there is no socket or a stale one. */
function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      const code = 'code' in error ? error.code : undefined;
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false);
      else reject(error);
    });
  });
}

/** Makes the way free: the directory there, a dead predecessor's socket gone. */
async function prepareSocket(path: string, groupAccess: boolean): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: groupAccess ? 0o750 : 0o700 });
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new AgentError(`${path} is in the way and is not a socket: remove it or listen elsewhere`, {
      code: 'invalid-input',
    });
  }
  if (await isAnswering(path)) {
    throw new AgentError(`another process serves ${path}: stop it first`, { code: 'busy' });
  }
  await unlink(path);
}

async function credentials(config: ListenConfig): Promise<ServerCredentials> {
  if (config.tls === undefined) return ServerCredentials.createInsecure();
  const [ca, cert, key] = await Promise.all(
    [config.tls.ca, config.tls.cert, config.tls.key].map((path) => readFile(path)),
  );
  if (ca === undefined || cert === undefined || key === undefined)
    throw new AgentError('TLS files are missing', { code: 'invalid-input' });
  return ServerCredentials.createSsl(ca, [{ cert_chain: cert, private_key: key }], true);
}

function bind(server: Server, target: string, creds: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(target, creds, (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

/**
 * Binds the server. A unix socket is the owner's alone from the moment it exists, or its group's too.
 * @returns the TCP port, or undefined for a unix socket
 * @throws AgentError saying where and why
 */
export async function listen(server: Server, config: ListenConfig): Promise<number | undefined> {
  try {
    if (!config.listen.startsWith(UNIX)) {
      return await bind(server, config.listen.slice(TCP.length), await credentials(config));
    }
    const { groupAccess = false } = config;
    await prepareSocket(config.listen.slice(UNIX.length), groupAccess);
    const umask = process.umask(groupAccess ? 0o117 : 0o177);
    try {
      await bind(server, config.listen, ServerCredentials.createInsecure());
    } finally {
      process.umask(umask);
    }
    return undefined;
  } catch (error) {
    if (error instanceof AgentError) throw error;
    throw new AgentError(`cannot listen on ${config.listen}: ${errorMessage(error)}`, {
      code: 'unavailable',
      cause: error,
    });
  }
}
