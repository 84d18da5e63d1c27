import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FeedTap } from '../../bench/path/feed-tap.ts';
import { KeyfeedConnection, type RequestResult } from '../../src/keyfeed/index.ts';
import { FakePlugin } from '../support/fake-plugin.ts';
import { eventually, TempDir } from '../support/index.ts';

const READY = { routeInterface: undefined, ackLatencyUs: 100 };
const HOST = { address: '198.18.0.1', port: 500 };
const GET_SPI = { kind: 'get-spi', protocol: 'esp', source: HOST, destination: HOST } as const;

async function afterMs(delayMs: number, result: RequestResult): Promise<RequestResult> {
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  return result;
}

test('the tap passes the feed on and times what the agent answers', async () => {
  await using dir = new TempDir();
  const [pluginPath, listenPath] = [dir.file('plugin.sock'), dir.file('tap.sock')];
  await using plugin = await FakePlugin.listen(pluginPath);
  await using tap = await FeedTap.start({ listenPath, pluginPath });
  await using agent = await KeyfeedConnection.open({ path: listenPath, server: 'test' });
  const answers: RequestResult[] = [
    { kind: 'ok', spi: 0x1000 },
    { kind: 'refused', reason: 'no' },
  ];
  const serving = agent.serve({
    onSnapshot: () => agent.ready(READY),
    onChange: () => undefined,
    onSetupFailed: () => undefined,
    onRequest: () => afterMs(20, answers.shift() ?? { kind: 'ok', spi: 1 }),
  });
  await plugin.ready();
  assert.equal((await plugin.request(GET_SPI)).spi, 0x1000);
  assert.equal((await plugin.request(GET_SPI)).code, 'refused');
  const timed = await tap.take();
  assert.deepEqual(
    timed.map(({ kind, isOk }) => [kind, isOk]),
    [
      ['get-spi', true],
      ['get-spi', false],
    ],
  );
  for (const { latencyMs } of timed) assert(latencyMs >= 19 && latencyMs < 1_000, String(latencyMs));
  assert.deepEqual(await tap.take(), []);
  await agent[Symbol.asyncDispose]();
  await serving;
  await eventually('the plugin sees the agent leave', () => !plugin.isConnected);
});
