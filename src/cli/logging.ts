import { pino } from 'pino';
import pretty from 'pino-pretty';
import type { Logger } from '../util/index.ts';

/** Lines a person reads on stderr, or pino's JSON lines. */
export function createLogger(level: string, isJson: boolean): Logger {
  const options = { level, base: null };
  if (isJson) {
    return pino(
      { ...options, timestamp: pino.stdTimeFunctions.isoTime },
      pino.destination({ fd: 2, sync: true }),
    );
  }
  return pino(
    options,
    pretty({
      colorize: process.stderr.isTTY,
      destination: 2,
      sync: true,
      singleLine: true,
      translateTime: 'SYS:HH:MM:ss.l',
    }),
  );
}
