import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';

const answersSchema = z.array(
  z.object({
    kind: z.enum(['get-spi', 'add-sa', 'update-sa', 'add-policy', 'probe']),
    isOk: z.boolean(),
    latencyMs: z.number(),
  }),
);

/** One request of charon's that an agent answered. */
export type FeedAnswer = z.infer<typeof answersSchema>[number];

/**
 * Sits on the key feed between charon's plugin and an agent, forwards every byte, and takes the time
 * from a request's last byte going out to the agent until its RESULT is read: what charon waits for,
 * less the plugin's own encoding and its hand-over between threads. It runs in a thread of its own, so
 * that nothing else of the benchmark delays it.
 */
export class FeedTap implements AsyncDisposable {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** Listens for the agent on `listenPath`; connects to the plugin on `pluginPath` when it comes. */
  static async start(options: {
    readonly listenPath: string;
    readonly pluginPath: string;
  }): Promise<FeedTap> {
    const worker = new Worker(new URL('./feed-tap-worker.ts', import.meta.url), { workerData: options });
    await once(worker, 'message');
    return new FeedTap(worker);
  }

  /** What was answered since the last call, in the order of the answers. */
  async take(): Promise<readonly FeedAnswer[]> {
    this.#worker.postMessage('take');
    const [answers] = await once(this.#worker, 'message');
    return answersSchema.parse(answers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
