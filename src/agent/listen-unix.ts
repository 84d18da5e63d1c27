import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { AgentError } from '../util/index.ts';

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
async function makeWay(path: string, setting: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new AgentError(`${path} is in the way and is not a socket: remove it, or set ${setting}`, {
      code: 'invalid-input',
    });
  }
  if (await isAnswered(path)) {
    throw new AgentError(`another agent answers on ${path}: stop it, or set ${setting}`, {
      code: 'busy',
    });
  }
  await unlink(path);
}

export type UnixPlace = {
  readonly path: string;
  /** The key of the configuration that names another place. */
  readonly setting: string;
  /** Whether the socket's group may connect too: the process's, or a setgid folder's. */
  readonly groupAccess?: boolean;
};

/**
 * Listens on a unix socket for its owner alone, or for the group too, in the place of a dead
 * predecessor's.
 *
 * @throws AgentError `busy` when somebody answers there, `invalid-input` when something else is in its place
 */
export async function listenOnUnix(server: Server, place: UnixPlace): Promise<void> {
  const { path, setting, groupAccess = false } = place;
  await mkdir(dirname(path), { recursive: true, mode: groupAccess ? 0o750 : 0o700 });
  await makeWay(path, setting);
  const previousUmask = process.umask(groupAccess ? 0o117 : 0o177);
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
  await chmod(path, groupAccess ? 0o660 : 0o600);
}
