/**
 * Preloaded into a process (`node --import`), it moves the wall clock that JavaScript sees, and nothing
 * else: by the milliseconds in the file that CLOCK_OFFSET_FILE names, read again at SIGUSR2. Native code
 * and timers go by the monotonic clock, which no step moves.
 */
import { readFileSync } from 'node:fs';

const path = process.env.CLOCK_OFFSET_FILE;
if (path === undefined) throw new Error('CLOCK_OFFSET_FILE names no file');

const readOffsetMs = (): number => Number(readFileSync(path, 'utf8'));
let offsetMs = readOffsetMs();
process.on('SIGUSR2', () => {
  offsetMs = readOffsetMs();
});

globalThis.Date = new Proxy(Date, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [target.now() + offsetMs] : args, newTarget),
  get: (target, key, receiver) =>
    key === 'now' ? () => target.now() + offsetMs : Reflect.get(target, key, receiver),
});
