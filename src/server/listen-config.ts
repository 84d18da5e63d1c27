import { z } from 'zod';

export const absolutePath = z.string().startsWith('/', 'expected an absolute path');

export const listenUri = z
  .string()
  .regex(/^(unix:\/\/\/.+|tcp:\/\/.+:\d+)$/, 'expected unix:///path or tcp://host:port');

/** The keys of a configuration file that say where the contract is served. */
export function listenFields(defaultUri: string) {
  return {
    listen: listenUri.default(defaultUri),
    /**
     * A unix socket's mode is 0660 instead of 0600: for an agent that is not root, in the process's group
     * (or a setgid folder's). Who may open it may install keys.
     */
    groupAccess: z.boolean().default(false),
    /** For TCP: the server's certificate, and the CA of the clients it answers. PEM files. */
    tls: z.strictObject({ ca: absolutePath, cert: absolutePath, key: absolutePath }).optional(),
    /** Speak plain TCP. Keys cross the network in clear. */
    insecure: z.boolean().default(false),
  } as const;
}

export type ListenConfig = {
  readonly listen: string;
  readonly groupAccess?: boolean;
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string } | undefined;
  readonly insecure: boolean;
};

/** What is wrong with them together, for zod. */
export function listenProblemOf({
  listen,
  tls,
  insecure,
}: ListenConfig): { readonly path: string[]; readonly message: string } | undefined {
  if (!listen.startsWith('tcp:') || tls !== undefined || insecure) return undefined;
  return {
    path: ['tls'],
    message:
      'listening on TCP needs tls: { ca, cert, key }, because keys cross the network (or insecure: true)',
  };
}
