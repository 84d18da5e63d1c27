/** What kind of failure this is, for code that branches on it. */
export type AgentErrorCode =
  /** The peer's bytes or values break its protocol. */
  | 'malformed'
  /** A person's input (configuration, arguments) is wrong. */
  | 'invalid-input'
  /** The other side is not there, or went away. */
  | 'unavailable'
  /** No answer within the deadline: the outcome is unknown. */
  | 'deadline'
  /** The caller gave up. */
  | 'aborted'
  /** The other side understood and said no. */
  | 'refused'
  /** The other side speaks another version, or lacks what is needed. */
  | 'unsupported'
  /** Somebody else holds what only one can have. */
  | 'busy'
  /** A queue or limit is full. */
  | 'overflow'
  /** Something failed that should not have. */
  | 'internal';

export type AgentErrorOptions = {
  readonly code: AgentErrorCode;
  /** True when the same call may succeed later; decided where the error is born. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
};

/**
 * The base of every error thrown here. The message says what failed, on which
 * object, why, and what to do; it never holds a key.
 */
export class AgentError extends Error {
  override readonly name: string = 'AgentError';
  readonly code: AgentErrorCode;
  readonly retryable: boolean;

  constructor(message: string, options: AgentErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.retryable = options.retryable ?? false;
  }
}

/** A broken invariant: a bug here, not in the input. It ends the process. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Closes a switch over a union; the compiler proves it is never reached. */
export function assertNever(value: never, what: string): never {
  throw new InvariantError(`unexpected ${what}: ${JSON.stringify(value)}`);
}

/** The message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
