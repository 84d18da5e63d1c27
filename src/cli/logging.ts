import { pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { Logger } from '../util/index.ts';
import { LogOutput } from './log-output.ts';

/** Lines a person reads on stderr, or pino's JSON lines. */
export function createLogger(level: string, isJson: boolean): Logger {
  const options = { level, base: null };
  const toText = isJson
    ? (line: string): string => line
    : prettyFactory({
        colorize: process.stderr.isTTY,
        singleLine: true,
        translateTime: 'SYS:HH:MM:ss.l',
      });
  const report = (lines: number): string =>
    toText(
      `${JSON.stringify({
        level: pino.levels.values.warn,
        time: isJson ? new Date().toISOString() : Date.now(),
        lines,
        msg: 'log lines could not be written and are lost',
      })}\n`,
    );
  const output = new LogOutput(report);
  return pino(
    { ...options, ...(isJson ? { timestamp: pino.stdTimeFunctions.isoTime } : {}) },
    { write: (line: string) => output.write(toText(line)) },
  );
}
