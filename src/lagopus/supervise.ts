import pRetry from 'p-retry';
import type { DataplaneCapabilities, DataplaneEvent, DataplanePort } from '../sync/index.ts';
import { AgentError, type Logger } from '../util/index.ts';
import {
  type ConnectionEvent,
  type ConnectionState,
  INITIAL_CONNECTION,
  nextConnection,
} from './connection-state.ts';

export type SuperviseOptions = {
  readonly dataplane: Pick<DataplanePort, 'capabilities' | 'watchEvents'>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Connected, and events flow. Also after a boot of the dataplane. */
  readonly onUp: (capabilities: DataplaneCapabilities) => void;
  readonly onDown: (reason: string) => void;
  readonly onEvent: (event: DataplaneEvent) => void;
  readonly onState?: (state: ConnectionState) => void;
};

/** Packets wait for this connection, and a try costs next to nothing. */
const LONGEST_DELAY_MS = 250;

type Connected = {
  readonly capabilities: DataplaneCapabilities;
  readonly events: AsyncIterator<DataplaneEvent>;
};

/**
 * Keeps a connection to the dataplane; resolves once the signal aborts. The event stream is
 * the sign of life; it is opened before `onUp`, so that no event of what follows is missed.
 */
export async function superviseDataplane(options: SuperviseOptions): Promise<void> {
  const { logger, signal, onUp, onDown, onEvent, onState } = options;
  let state = INITIAL_CONNECTION;
  const step = (event: ConnectionEvent): void => {
    state = nextConnection(state, event);
    if (event.kind === 'failed' && state.kind === 'connecting' && state.attempts === 1) {
      logger.warn({ reason: event.reason }, 'cannot reach the dataplane, will retry');
    }
    onState?.(state);
  };
  while (!signal.aborted) {
    const connected = await connectWithRetries(options, (reason) => step({ kind: 'failed', reason }));
    if (connected === undefined) return;
    const { capabilities, events } = connected;
    logger.info({ server: capabilities.server, bootId: capabilities.bootId }, 'dataplane connected');
    step({ kind: 'connected', capabilities });
    onUp(capabilities);
    const reason = await drain(events, onEvent);
    if (signal.aborted) return;
    logger.warn({ reason }, 'dataplane lost, reconnecting');
    step({ kind: 'lost', reason });
    onDown(reason);
  }
}

/** Undefined when it was stopped. */
async function connectWithRetries(
  options: SuperviseOptions,
  onFailed: (reason: string) => void,
): Promise<Connected | undefined> {
  const { signal } = options;
  try {
    return await pRetry(() => connect(options), {
      retries: Number.POSITIVE_INFINITY,
      minTimeout: 50,
      maxTimeout: LONGEST_DELAY_MS,
      randomize: true,
      signal,
      shouldRetry: ({ error }) => error instanceof AgentError,
      onFailedAttempt: ({ error }) => {
        if (!signal.aborted) onFailed(error.message);
      },
    });
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

/** Opens the event stream, and asks for capabilities of the same boot. */
async function connect({ dataplane, signal }: SuperviseOptions): Promise<Connected> {
  const events = dataplane.watchEvents({ signal })[Symbol.asyncIterator]();
  try {
    const first = await events.next();
    const capabilities = await dataplane.capabilities({ signal });
    if (!first.done && first.value.kind === 'boot' && first.value.bootId === capabilities.bootId) {
      return { capabilities, events };
    }
    throw new AgentError('the dataplane booted while we connected', { code: 'unavailable', retryable: true });
  } catch (error) {
    await events.return?.();
    throw error;
  }
}

/** Reads events until there are no more; why. */
async function drain(
  events: AsyncIterator<DataplaneEvent>,
  onEvent: (event: DataplaneEvent) => void,
): Promise<string> {
  try {
    for (;;) {
      const { done, value } = await events.next();
      if (done === true) return 'the dataplane ended its event stream';
      onEvent(value);
    }
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return error.message;
  }
}
