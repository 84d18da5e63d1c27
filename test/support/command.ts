import { execFile } from 'node:child_process';

export type CommandResult = { readonly stdout: string; readonly stderr: string };

/** Somewhere commands can be run: a network namespace, a guest. */
export type CommandHost = {
  /** @throws CommandError on any status but 0, and after `timeoutMs`. */
  run(argv: Argv, options?: { readonly timeoutMs?: number }): Promise<CommandResult>;
};

export type Argv = readonly [string, ...string[]];

/** A command that exited with another status than 0, or did not end in time. */
export class CommandError extends Error {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;

  constructor(argv: Argv, status: number | undefined, result: CommandResult) {
    const outcome = status === undefined ? 'did not end in time' : `status ${status}`;
    super(`${argv.join(' ')}: ${outcome}\n${result.stderr}${result.stdout}`);
    this.status = status;
    this.stdout = result.stdout;
    this.stderr = result.stderr;
  }
}

/**
 * Runs a short command to its end.
 *
 * @throws CommandError on any status but 0, and after `timeoutMs`.
 */
export function command(argv: Argv, options: { readonly timeoutMs?: number } = {}): Promise<CommandResult> {
  const [file, ...args] = argv;
  const { timeoutMs = 20_000 } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 1 << 28 },
      (error, stdout, stderr) => {
        if (error === null) resolve({ stdout, stderr });
        else reject(new CommandError(argv, child.exitCode ?? undefined, { stdout, stderr }));
      },
    );
  });
}
