import { AgentError, loadAddon } from '../../util/index.ts';

/** A connection whose messages keep their bounds (native/seqpacket.c). Errors are thrown as plain Errors. */
export type SeqpacketSocket = {
  connect(path: string): void;
  /** False when the peer has to read first. */
  send(message: Uint8Array): boolean;
  /** A message; undefined when there is none yet; null at the end. */
  receive(): Buffer | undefined | null;
  close(): void;
};

type SeqpacketModule = { readonly SeqpacketSocket: new (onReadable: () => void) => SeqpacketSocket };

function isSeqpacketModule(value: unknown): value is SeqpacketModule {
  return (
    typeof value === 'object' &&
    value !== null &&
    'SeqpacketSocket' in value &&
    typeof value.SeqpacketSocket === 'function'
  );
}

/** @throws AgentError when the addon was not built, or nobody listens there */
export function connectSeqpacket(path: string, onReadable: () => void): SeqpacketSocket {
  const addon = loadAddon();
  if (!isSeqpacketModule(addon))
    throw new AgentError('the native addon is not ours: build it again', { code: 'unsupported' });
  const socket = new addon.SeqpacketSocket(onReadable);
  try {
    socket.connect(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError(why, { code: 'unavailable', retryable: true, cause });
  }
  return socket;
}
