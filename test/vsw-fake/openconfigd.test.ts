import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import { FakeClock } from '../support/fake-clock.ts';
import { FakeOpenconfigd } from '../support/fake-lagopus/openconfigd.ts';
import { deleteSa, routerConfig, sampleKey, sampleSa } from '../support/fake-lagopus/router-samples.ts';
import {
  type ConfigReply,
  type ConfigRequest,
  ConfigType,
  configReply,
  configRequest,
  ExecCode,
  type ExecReply,
  execReply,
  execRequest,
  type Numbering,
} from '../support/fake-lagopus/wire.ts';
import { eventually } from '../support/index.ts';

const SAD = 'network-instances network-instance vrf1 security ipsec sad sad-entries';

/** A client of openconfigd's own API. */
class OpenconfigClient implements Disposable {
  readonly replies: string[] = [];
  readonly #numbering: Numbering;
  readonly #client: Client;
  readonly #stream;
  isEnded = false;

  constructor(address: string, numbering: Numbering = '0.8.3') {
    this.#numbering = numbering;
    this.#client = new Client(address, credentials.createInsecure());
    this.#stream = this.#client.makeBidiStreamRequest<ConfigRequest, ConfigReply>(
      '/openconfig.Config/DoConfig',
      configRequest[numbering].encode,
      configReply.decode,
    );
    this.#stream.on('data', ({ type, path }: ConfigReply) => {
      const name = Object.entries(ConfigType).find(([, value]) => value === type)?.[0];
      this.replies.push([name, ...path].join(' '));
    });
    this.#stream.on('error', () => {
      this.isEnded = true;
    });
    this.#stream.on('end', () => {
      this.isEnded = true;
    });
  }

  send(type: number, path: readonly string[] = []): void {
    this.#stream.write({ type, module: 'config', host: '', port: 0, subtype: 0, path });
  }

  exec(text: string, line = text): Promise<ExecReply> {
    const request = { type: 0, mode: 'configure', privilege: 15, line, args: text.split(' ') };
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        '/openconfig.Exec/DoExec',
        execRequest.encode,
        execReply[this.#numbering].decode,
        request,
        (error, reply) => (error !== null || reply === undefined ? reject(error) : resolve(reply)),
      );
    });
  }

  async heard(count: number): Promise<readonly string[]> {
    await eventually(`${count} replies`, () => this.replies.length >= count, { timeoutMs: 5_000 });
    return this.replies.splice(0);
  }

  [Symbol.dispose](): void {
    this.#stream.cancel();
    this.#client.close();
  }
}

async function subscribed(
  options: Parameters<typeof FakeOpenconfigd.start>[0] = {},
  numbering: Numbering = '0.8.2',
): Promise<{ openconfigd: FakeOpenconfigd; client: OpenconfigClient }> {
  const openconfigd = await FakeOpenconfigd.start({ release: '0.8.1', ...options });
  const client = new OpenconfigClient(openconfigd.address, numbering);
  client.send(ConfigType.SUBSCRIBE, ['network-instances', 'network-instance']);
  await eventually('a subscriber', () => openconfigd.subscriberCount === 1, { timeoutMs: 5_000 });
  return { openconfigd, client };
}

test('the answer to set and delete is in lines, and the code is always SUCCESS', async () => {
  await using openconfigd = await FakeOpenconfigd.start();
  using client = new OpenconfigClient(openconfigd.address);
  const answers: Readonly<Record<string, string>> = {
    [`set ${SAD} 5 config sa-mode tunnel`]: 'Success',
    [`set ${SAD} 5 config sa-mode transport`]: 'NoMatch\n',
    [`set ${SAD} 5 config no-such-leaf 1`]: 'NoMatch\n',
    [`set ${SAD} 5 config`]: 'Incomplete\n',
    [`set ${SAD} 5 config e`]: 'Ambiguous\n',
    [`delete ${SAD} 77`]: 'NoMatch\n',
    [`delete ${SAD} 5`]: 'Success',
  };
  for (const [line, answer] of Object.entries(answers)) {
    const { code, lines } = await client.exec(line, 'set ');
    assert.deepEqual({ line, code, lines }, { line, code: ExecCode.SUCCESS, lines: answer });
  }
});

test('commit answers "" or the reason, as SHOW, and keeps the candidate', async () => {
  await using openconfigd = await FakeOpenconfigd.start();
  using client = new OpenconfigClient(openconfigd.address);
  await client.exec(`set ${SAD} 5 config life-time life-time-in-seconds 60`);
  const refused = await client.exec('commit');
  assert.equal(refused.code, ExecCode.SHOW);
  assert.equal(refused.lines, "Mandatory node 'sa-mode' is necessary under config.");
  await client.exec(`set ${SAD} 5 config sa-mode tunnel`);
  assert.equal((await client.exec('commit')).lines, '');
  assert.match(
    (await client.exec('commands')).lines,
    /sad-entries 5 config life-time life-time-in-seconds 60\n/,
  );
});

test('with diffutils 3.8 commit is a silent no-op', async () => {
  const { openconfigd, client } = await subscribed({ diffutils: '3.8' });
  await using _daemon = openconfigd;
  using _client = client;
  assert.equal(await openconfigd.operate(sampleSa({ spi: 5 })), '');
  assert.equal(openconfigd.commands, '');
  assert.deepEqual(client.replies, []);
});

test('there is one candidate: a discard wipes it and a commit commits it for everybody', async () => {
  await using openconfigd = await FakeOpenconfigd.start();
  using first = new OpenconfigClient(openconfigd.address);
  using second = new OpenconfigClient(openconfigd.address);
  await first.exec(`set ${SAD} 5 config sa-mode tunnel`);
  await second.exec('discard');
  await first.exec('commit');
  assert.equal(openconfigd.commands, '');
  await first.exec(`set ${SAD} 6 config sa-mode tunnel`);
  await second.exec('commit');
  assert.match(openconfigd.commands, /sad-entries 6/);
});

test('after a discard another case of a choice keeps the old one too', async () => {
  await using openconfigd = await FakeOpenconfigd.start({ release: '0.8.1' });
  using client = new OpenconfigClient(openconfigd.address, '0.8.2');
  const encryptions = (): number => openconfigd.commands.split('esp encryption').length - 1;
  await openconfigd.operate(sampleSa({ spi: 5 }));
  await openconfigd.operate([`set ${SAD} 5 config esp encryption null`]);
  assert.equal(encryptions(), 1);
  await client.exec('discard');
  await openconfigd.operate([`set ${SAD} 5 config esp encryption aes-128-gcm key-str ${sampleKey(5)}`]);
  assert.equal(encryptions(), 2);
});

test('YANG takes SHA1 keys of 24 to 40 digits, GCM of 40, CBC of 32, and splits values at spaces', async () => {
  await using openconfigd = await FakeOpenconfigd.start();
  using client = new OpenconfigClient(openconfigd.address);
  const answer = async (algorithm: string, digits: number): Promise<string> =>
    (await client.exec(`set ${SAD} 5 config esp ${algorithm} key-str ${'a'.repeat(digits)}`)).lines;
  assert.equal(await answer('authentication hmac-sha1-96', 24), 'Success');
  assert.equal(await answer('authentication hmac-sha1-96', 23), 'NoMatch\n');
  assert.equal(await answer('encryption aes-128-gcm', 40), 'Success');
  assert.equal(await answer('encryption aes-128-gcm', 32), 'NoMatch\n');
  assert.equal(await answer('encryption aes-128-cbc', 32), 'Success');
  const words = ['set', ...SAD.split(' '), '5', 'config', 'sa-mode', 'tunnel mode'];
  assert.equal((await client.exec(words.join(' '))).lines, 'NoMatch\n');
});

test('a subscriber receives one COMMIT with everything, then sorted differences', async () => {
  const { openconfigd, client } = await subscribed({ config: routerConfig('vrf1') });
  await using _daemon = openconfigd;
  using _client = client;
  const first = await client.heard(6);
  assert.equal(first[0], 'COMMIT_START');
  assert.equal(first.at(-1), 'COMMIT_END');
  assert.deepEqual(
    first.filter((line) => !line.startsWith('SET network-instances')),
    ['COMMIT_START', 'COMMIT_END'],
  );

  await openconfigd.operate([
    `set ${SAD} 7 config sa-mode tunnel`,
    `set ${SAD} 7 config encap-src-port 4500`,
  ]);
  assert.deepEqual(await client.heard(5), [
    'COMMIT_START',
    `SET ${SAD} 7`,
    `SET ${SAD} 7 config encap-src-port 4500`,
    `SET ${SAD} 7 config sa-mode tunnel`,
    'COMMIT_END',
  ]);
  await openconfigd.operate([`set ${SAD} 7 config encap-src-port 4501`]);
  assert.deepEqual(await client.heard(4), [
    'COMMIT_START',
    `DELETE ${SAD} 7 config encap-src-port 4500`,
    `SET ${SAD} 7 config encap-src-port 4501`,
    'COMMIT_END',
  ]);
  await openconfigd.operate([deleteSa(7)]);
  assert.deepEqual(await client.heard(5), [
    'COMMIT_START',
    `DELETE ${SAD} 7`,
    `DELETE ${SAD} 7 config encap-src-port 4501`,
    `DELETE ${SAD} 7 config sa-mode tunnel`,
    'COMMIT_END',
  ]);
});

test('an empty openconfigd sends no COMMIT at all', async () => {
  const { openconfigd, client } = await subscribed();
  await using _daemon = openconfigd;
  using _client = client;
  await openconfigd.operate(['set interfaces interface if0 config enabled true']);
  assert.deepEqual(client.replies, []);
});

test('0.8.2 and later wait 20 s per commit for API_CALL_FINISHED; 0.8.1 does not', async () => {
  const clock = new FakeClock();
  const { openconfigd, client } = await subscribed({ release: '0.8.2', clock });
  await using _daemon = openconfigd;
  using _client = client;
  let reply: string | undefined;
  const commit = openconfigd.operate(sampleSa({ spi: 5 })).then((text) => {
    reply = text;
  });
  await client.heard(3);
  await clock.advance(19_999);
  assert.equal(reply, undefined);
  await clock.advance(1);
  await commit;
  assert.equal(reply, '');

  const old = await subscribed({ release: '0.8.1', clock });
  await using _old = old.openconfigd;
  using _oldClient = old.client;
  assert.equal(await old.openconfigd.operate(sampleSa({ spi: 5 })), '');
});

test('one API_CALL_FINISHED ends the wait, two crash openconfigd', async () => {
  const { openconfigd, client } = await subscribed({ release: '0.8.3', clock: new FakeClock() }, '0.8.3');
  await using _daemon = openconfigd;
  using _client = client;
  const first = openconfigd.operate(sampleSa({ spi: 5 }));
  await client.heard(3);
  client.send(ConfigType.API_CALL_FINISHED);
  assert.equal(await first, '');
  assert.equal(openconfigd.crash, undefined);

  void openconfigd.operate(sampleSa({ spi: 6 }));
  await client.heard(3);
  client.send(ConfigType.API_CALL_FINISHED);
  client.send(ConfigType.API_CALL_FINISHED);
  await eventually('the crash', () => openconfigd.crash, { timeoutMs: 5_000 });
  await eventually('the end of the stream', () => client.isEnded, { timeoutMs: 5_000 });
});

test('the two numberings do not understand each other', async () => {
  await using openconfigd = await FakeOpenconfigd.start({ release: '0.8.3' });
  using client = new OpenconfigClient(openconfigd.address, '0.8.2');
  client.send(ConfigType.SUBSCRIBE, ['network-instances']);
  await eventually('the end of the stream', () => client.isEnded, { timeoutMs: 5_000 });
  const path = ['a', 'b'];
  assert.equal(
    configRequest['0.8.2'].encode({ type: 8, module: 'config', path }).toString('hex'),
    '08081206636f6e6669672a01612a0162',
  );
  assert.equal(
    configRequest['0.8.3'].encode({ type: 8, module: 'config', path }).toString('hex'),
    '08081206636f6e66696732016132016' + '2',
  );
});

test('a commit of n entries takes a time that grows with its square', async () => {
  const clock = new FakeClock();
  await using openconfigd = await FakeOpenconfigd.start({ release: '0.8.1', clock, commitTimeScale: 1 });
  const timeOf = async (lines: readonly string[]): Promise<number> => {
    const startMs = clock.now();
    let isDone = false;
    const commit = openconfigd.operate(lines).then(() => {
      isDone = true;
    });
    while (!isDone) await clock.advance(10);
    await commit;
    return clock.now() - startMs;
  };
  const entries = (from: number, to: number): readonly string[] =>
    Array.from({ length: to - from }, (_, at) => `set ${SAD} ${from + at} config sa-mode tunnel`);
  const hundred = await timeOf(entries(1, 100));
  const thousand = await timeOf(entries(100, 1000));
  assert.ok(hundred >= 60 && hundred <= 140, `${hundred} ms`);
  assert.ok(thousand >= 1_900 && thousand <= 4_200, `${thousand} ms`);
});

test('a restarted openconfigd has its configuration and no subscribers', async () => {
  const { openconfigd, client } = await subscribed();
  await using _daemon = openconfigd;
  using _client = client;
  await openconfigd.operate(sampleSa({ spi: 5 }));
  const before = openconfigd.commands;
  await openconfigd.restart();
  await eventually('the end of the stream', () => client.isEnded, { timeoutMs: 5_000 });
  assert.equal(openconfigd.commands, before);
  assert.equal(openconfigd.subscriberCount, 0);
});
