/** The thread behind FeedTap: says `listening` once, then answers each `take` with a FeedAnswer[]. */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import {
  type AgentMessage,
  decodeAgentMessage,
  decodePluginMessage,
  FrameSplitter,
  type PluginMessage,
  wipeKeys,
} from '../../src/keyfeed/index.ts';
import type { FeedAnswer } from './feed-tap.ts';

const { listenPath, pluginPath } = z
  .object({ listenPath: z.string(), pluginPath: z.string() })
  .parse(workerData);

let answers: FeedAnswer[] = [];

type Waiting = { readonly kind: FeedAnswer['kind']; readonly sinceMs: number };

/** One agent's connection and the one to the plugin that was opened for it. */
function splice(agent: Socket): void {
  const plugin = createConnection(pluginPath);
  const waiting = new Map<bigint, Waiting>();
  const onRequest = (message: PluginMessage, atMs: number): void => {
    wipeKeys(message);
    const isAwaited = 'awaited' in message ? message.awaited : true;
    switch (message.kind) {
      case 'get-spi':
      case 'add-sa':
      case 'update-sa':
      case 'add-policy':
      case 'probe':
        if (isAwaited) waiting.set(message.seq, { kind: message.kind, sinceMs: atMs });
        break;
      default:
        break;
    }
  };
  const onResult = (message: AgentMessage, atMs: number): void => {
    if (message.kind !== 'result') return;
    const request = waiting.get(message.seq);
    if (request === undefined) return;
    waiting.delete(message.seq);
    answers.push({
      kind: request.kind,
      isOk: message.code === 'ok',
      latencyMs: atMs - request.sinceMs,
    });
  };
  forward(plugin, agent, decodePluginMessage, onRequest);
  forward(agent, plugin, decodeAgentMessage, onResult);
}

/** Passes bytes on before it looks at them. */
function forward<T>(
  from: Socket,
  to: Socket,
  decode: (bytes: Uint8Array, offset: number) => T,
  onMessage: (message: T, atMs: number) => void,
): void {
  const splitter = new FrameSplitter();
  from.on('data', (chunk: Buffer) => {
    const atMs = performance.now();
    // The splitter wipes what it is given, and the kernel may take the other one later.
    const copy = new Uint8Array(chunk);
    to.write(chunk);
    for (const { bytes, offset } of splitter.push(copy)) onMessage(decode(bytes, offset), atMs);
  });
  from.on('error', () => from.destroy());
  from.on('close', () => to.destroy());
}

const server = createServer(splice);
server.listen(listenPath);
await once(server, 'listening');
parentPort?.on('message', () => {
  parentPort?.postMessage(answers);
  answers = [];
});
parentPort?.postMessage('listening');
