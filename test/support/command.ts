import { execFile } from 'node:child_process';

export type CommandResult = { readonly stdout: string; readonly stderr: string };

/** A command that exited with another status than 0, or did not end in time. */
export class CommandError extends Error {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;

  constructor(command: readonly string[], status: number | undefined, result: CommandResult, cause: Error) {
    const outcome = status === undefined ? cause.message : `status ${status}`;
    super(`${command.join(' ')}: ${outcome}\n${result.stderr}${result.stdout}`, { cause });
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
export function command(
  argv: readonly [string, ...string[]],
  options: { readonly timeoutMs?: number; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<CommandResult> {
  const [file, ...args] = argv;
  const { timeoutMs = 20_000, env = process.env } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      { timeout: timeoutMs, killSignal: 'SIGKILL', env, maxBuffer: 1 << 28 },
      (error, stdout, stderr) => {
        if (error === null) resolve({ stdout, stderr });
        else reject(new CommandError(argv, child.exitCode ?? undefined, { stdout, stderr }, error));
      },
    );
  });
}
