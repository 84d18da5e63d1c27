/**
 * Synchronous last-resort cleanup: what runs when the process ends without having disposed of its
 * resources (Ctrl-C, a failed assertion in a bare script, the test runner's SIGTERM).
 */

type Hook = () => void;

const hooks = new Set<Hook>();
let isArmed = false;

function runHooks(): void {
  for (const hook of [...hooks].reverse()) {
    hooks.delete(hook);
    try {
      hook();
    } catch (error) {
      process.stderr.write(`cleanup: ${String(error)}\n`);
    }
  }
}

function arm(): void {
  if (isArmed) return;
  isArmed = true;
  process.on('exit', runHooks);
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    // A listener that is there already handles the signal itself, then exits through 'exit'.
    if (process.listenerCount(signal) === 0) process.once(signal, () => process.exit(status));
  }
}

/** Registers a synchronous hook; hooks run newest first. Returns what takes it back. */
export function onExit(hook: Hook): () => void {
  arm();
  hooks.add(hook);
  return () => void hooks.delete(hook);
}
