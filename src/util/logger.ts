type LogMethod = {
  (fields: Readonly<Record<string, unknown>>, message: string): void;
  (message: string): void;
};

/** What is used of pino: constant messages, facts in fields. */
export type Logger = {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
};

const ignore = (): void => undefined;

/** Drops everything. */
export const silentLogger: Logger = {
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
};
