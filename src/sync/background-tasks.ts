/**
 * The owner of work nobody waits for. A task that fails for another reason than being
 * stopped is a bug: its rejection is left unhandled, which ends the process.
 */
export class BackgroundTasks implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #tasks = new Set<Promise<void>>();

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  spawn(run: (signal: AbortSignal) => Promise<void>): void {
    const { signal } = this.#controller;
    if (signal.aborted) return;
    const task = run(signal)
      .catch((error: unknown) => {
        if (!signal.aborted) throw error;
      })
      .finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  /** Stops every task and waits until they have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort(new Error('stopped'));
    await Promise.allSettled(this.#tasks);
  }
}
