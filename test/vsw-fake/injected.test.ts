import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import {
  deleteSa,
  routerConfig,
  sampleKey,
  sampleSa,
  sampleSp,
} from '../support/fake-lagopus/router-samples.ts';
import { FakeVsw } from '../support/fake-lagopus/vsw.ts';
import {
  type ConfigReply,
  type ConfigRequest,
  ConfigType,
  configService,
} from '../support/fake-lagopus/wire.ts';
import { eventually } from '../support/index.ts';

type Stream = ServerDuplexStream<ConfigRequest, ConfigReply>;

/** Who stands in openconfigd's place and writes to vsw's stream what it likes. */
class Injector implements AsyncDisposable {
  readonly vsw: FakeVsw;
  readonly #server: Server;
  readonly #streams: readonly Stream[];
  #commits = 0;

  private constructor(server: Server, vsw: FakeVsw, streams: readonly Stream[]) {
    this.#server = server;
    this.vsw = vsw;
    this.#streams = streams;
  }

  static async start(): Promise<Injector> {
    const server = new Server();
    const streams: Stream[] = [];
    server.addService(configService('0.8.3'), {
      DoConfig: (stream: Stream) => {
        stream.on('error', () => undefined);
        streams.push(stream);
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const vsw = await FakeVsw.start({ server: `127.0.0.1:${port}`, tickMs: 0 });
    await eventually('the stream', () => streams.length === 1, { timeoutMs: 5_000 });
    const injector = new Injector(server, vsw, streams);
    await injector.commit(routerConfig('vrf1'));
    return injector;
  }

  write(type: number, path: readonly string[] = []): void {
    this.#streams[0]?.write({ result: 0, type, path, json: '' });
  }

  /** `set` and `delete` lines, whole, in this order. */
  async commit(lines: readonly string[]): Promise<void> {
    this.write(ConfigType.COMMIT_START);
    for (const line of lines) {
      const [verb, ...path] = line.split(' ');
      this.write(verb === 'set' ? ConfigType.SET : ConfigType.DELETE, path);
    }
    await this.end();
  }

  async end(): Promise<void> {
    this.write(ConfigType.COMMIT_END);
    this.#commits++;
    await eventually('the commit', () => this.vsw.commitCount === this.#commits, { timeoutMs: 5_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.vsw[Symbol.asyncDispose]();
    this.#server.forceShutdown();
  }
}

test('DELETE and SET of one SPI in one commit loses the SA, and SETting it again does not repair it', async () => {
  await using injector = await Injector.start();
  const { vsw } = injector;
  await injector.commit(sampleSa({ spi: 5 }));
  vsw.tick();
  const fresh = sampleSa({ spi: 5, key: sampleKey(99) });
  await injector.commit([deleteSa(5), ...fresh]);
  vsw.tick();
  assert.deepEqual(vsw.sas(), []);
  await injector.commit(fresh);
  vsw.tick();
  assert.deepEqual(vsw.sas(), []);
  await injector.commit([deleteSa(5)]);
  vsw.tick();
  await injector.commit(fresh);
  vsw.tick();
  assert.deepEqual(vsw.matureSpis('vrf1'), [5]);
});

test('an interleaved COMMIT_START loses the first half of the other commit', async () => {
  await using injector = await Injector.start();
  const [mode, ...rest] = sampleSa({ spi: 5 }).map((line) => line.split(' ').slice(1));
  injector.write(ConfigType.COMMIT_START);
  injector.write(ConfigType.SET, mode ?? []);
  injector.write(ConfigType.COMMIT_START);
  for (const path of rest) injector.write(ConfigType.SET, path);
  await injector.end();
  injector.vsw.tick();
  assert.deepEqual(injector.vsw.sas(), []);
});

test('deletes are run before sets, SAs before SPs, whatever the order of the messages', async () => {
  await using injector = await Injector.start();
  const { vsw } = injector;
  await injector.commit([...sampleSa({ spi: 5 }), ...sampleSp({ name: 'out', spi: 5 })]);
  vsw.tick();
  await injector.commit([...sampleSp({ name: 'out', spi: 6 }), ...sampleSa({ spi: 6 }), deleteSa(5)]);
  vsw.tick();
  assert.deepEqual(vsw.matureSpis('vrf1'), [6]);
  const sent = vsw.vrf('vrf1').forwarding.send({ source: '198.19.1.9', destination: '198.19.2.9' });
  assert.ok(sent.kind === 'esp' && sent.packet.spi === 6);
});

test('unknown deletes are harmless, and bad values are ignored silently', async () => {
  await using injector = await Injector.start();
  const { vsw } = injector;
  await injector.commit([
    deleteSa(77),
    deleteSa(77, 'vrf9'),
    ...sampleSa({ spi: 5, key: 'zz' }),
    ...sampleSa({ spi: 6, local: 'nonsense' }),
    ...sampleSa({ spi: 7 }),
  ]);
  vsw.tick();
  assert.deepEqual(vsw.matureSpis('vrf1'), [7]);
  assert.equal(vsw.crash, undefined);
});

test('an SP of the same name overwrites, and a delete of `security` removes everything', async () => {
  await using injector = await Injector.start();
  const { vsw } = injector;
  await injector.commit([...sampleSa({ spi: 5 }), ...sampleSp({ name: 'ours', spi: 5 })]);
  await injector.commit(sampleSp({ name: 'ours', spi: 9, policy: 'discard' }));
  assert.deepEqual(
    vsw.policies('vrf1').map(({ spi, policy }) => ({ spi, policy })),
    [{ spi: 9, policy: 'discard' }],
  );
  vsw.tick();
  await injector.commit(['delete network-instances network-instance vrf1 security']);
  vsw.tick();
  assert.deepEqual([vsw.sas(), vsw.policies('vrf1')], [[], []]);
});

test('a stopped vsw that resumes does what came meanwhile, in its order', async () => {
  await using injector = await Injector.start();
  const { vsw } = injector;
  vsw.pause();
  const committed = injector.commit([...sampleSa({ spi: 5 }), ...sampleSp({ name: 'out', spi: 5 })]);
  vsw.tick();
  assert.deepEqual(vsw.sas(), []);
  vsw.resume();
  await committed;
  vsw.tick();
  assert.deepEqual(vsw.matureSpis('vrf1'), [5]);
  assert.equal(vsw.isSubscribed, true);
});
