import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, stat, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { test } from 'node:test';
import {
  type AgentMessage,
  encodeAgentMessage,
  type FeedTrafficSelector,
} from '../../../src/keyfeed/index.ts';
import { CharonDaemon, Lab } from '../../support/index.ts';
import { FakeAgent } from './fake-agent.ts';
import { isReady, logged, Rig } from './rig.ts';

const HOST = { address: '198.18.0.1', port: 4500 };
const SELECTOR: FeedTrafficSelector = {
  firstAddress: '198.19.1.0',
  lastAddress: '198.19.1.255',
  protocol: 0,
  ports: { first: 0, last: 65_535 },
};
const SPI = 0xc0ff_ee00;

/** One of each, of SAs and policies that do not exist. */
const MESSAGES: readonly AgentMessage[] = [
  { kind: 'ready', routeInterface: 'lgp-none', ackLatencyUs: 1 },
  { kind: 'not-ready', reason: 'no reason' },
  { kind: 'result', seq: 1n, code: 'refused', reason: 'late', spi: SPI },
  { kind: 'expire', protocol: 'esp', spi: SPI, destination: HOST, hard: true },
  {
    kind: 'mapping',
    protocol: 'ah',
    spi: SPI,
    destination: HOST,
    newSource: { address: '2001:db8::1', port: 1 },
  },
  {
    kind: 'usage',
    entries: [
      {
        protocol: 'esp',
        direction: 'inbound',
        spi: SPI,
        destination: '198.18.0.1',
        bytes: 1n,
        packets: 1n,
        idleMs: 1n,
      },
      {
        protocol: 'ah',
        direction: 'outbound',
        spi: SPI,
        destination: '2001:db8::1',
        bytes: 2n ** 64n - 1n,
        packets: 0n,
        idleMs: undefined,
      },
    ],
  },
  {
    kind: 'policy-usage',
    entries: [
      {
        ...{ direction: 'forward', source: SELECTOR, destination: SELECTOR },
        ...{ mark: { value: 1, mask: 0xff }, ifId: 7, idleMs: 2n ** 63n },
      },
    ],
  },
];

/** A frame with the length that its bytes have. */
function frame(body: Uint8Array): Buffer {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32BE(body.length);
  return Buffer.concat([prefix, body]);
}

/** Sends bytes to a charon that has sent its snapshot, and waits to be told off. */
async function assertRefused(path: string, bytes: Uint8Array): Promise<void> {
  await using agent = await FakeAgent.sync(path);
  agent.sendBytes(bytes);
  const error = await agent.message('error');
  assert.equal(error.code, 'malformed');
  assert.match(error.reason, /at offset \d+$/);
  await agent.closed();
}

test('every truncation of every message is refused unless it is a message too, and loses nothing', async () => {
  await using rig = await Rig.start();
  await rig.initiate();
  await rig.killAgent();
  for (const message of MESSAGES) {
    const body = encodeAgentMessage(message).subarray(4);
    for (let length = 1; length < body.length; length += 1) {
      const part = body.subarray(0, length);
      await using agent = await FakeAgent.sync(rig.left.pluginSocket);
      // what follows a message that is one must be one as well
      agent.sendBytes(isWhole(part) ? Buffer.concat([frame(part), Buffer.alloc(4)]) : frame(part));
      const { code, reason } = await agent.message('error');
      assert.equal(code, 'malformed');
      if (!isWhole(part)) assert.match(reason, /(truncated attribute|longer than its frame) at offset \d+$/);
    }
  }
  const agent = await rig.restartAgent();
  await agent.message('snapshot-end');
  assert.equal(agent.sas.size, 2);
  assert.equal((await rig.installed()).left.length, 1);
});

/** Every attribute of a frame's type and attributes is complete. */
function isWhole(body: Uint8Array): boolean {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let offset = 1;
  while (offset + 4 <= body.length) offset += 4 + view.getUint16(offset + 2);
  return offset === body.length;
}

test('what no frame may be is refused: lengths, types, values, missing, repeated and critical attributes', async () => {
  await using rig = await Rig.start();
  await rig.killAgent();
  const path = rig.left.pluginSocket;
  const result = encodeAgentMessage({
    kind: 'result',
    seq: 1n,
    code: 'ok',
    reason: undefined,
    spi: undefined,
  });
  const cases: Readonly<Record<string, Uint8Array>> = {
    'an empty frame': Buffer.alloc(4),
    'a frame of 4 GiB': Buffer.alloc(4, 0xff),
    'a frame of 1 MiB and a byte': Buffer.from([0, 0x10, 0, 1, 67]),
    'an unknown type': frame(Buffer.from([99])),
    "a type of the plugin's": frame(Buffer.from([6])),
    'nothing that is mandatory': frame(Buffer.from([67])),
    'a repeated attribute': frame(Buffer.concat([result.subarray(4), result.subarray(5, 17)])),
    'a wrong length': frame(Buffer.from([65, 0, 51, 0, 3, 0, 0, 0])),
    'an unknown critical attribute': frame(
      Buffer.concat([result.subarray(4), Buffer.from([0x80, 200, 0, 0])]),
    ),
    'an address family of 5': frame(
      Buffer.from([71, 0, 53, 0, 35, 50, 1, 0, 0, 0, 1, 5, ...Buffer.alloc(28)]),
    ),
    'a bare attribute header': frame(Buffer.from([71, 0, 53, 0])),
  };
  for (const [what, bytes] of Object.entries(cases)) {
    await assertRefused(path, bytes).catch((error: unknown) => {
      throw new Error(what, { cause: error });
    });
  }
  await using agent = await FakeAgent.sync(path);
  agent.sendBytes(frame(Buffer.concat([result.subarray(4), Buffer.from([0, 200, 0, 1, 7])])));
  agent.ready();
  await isReady(rig.left);
});

test('random bytes never harm charon', async () => {
  await using rig = await Rig.start();
  await rig.initiate();
  await rig.killAgent();
  for (let round = 0; round < 200; round += 1) {
    await using agent = await FakeAgent.sync(rig.left.pluginSocket);
    const body = randomBytes(1 + Math.floor(Math.random() * 200));
    body[0] = 64 + (round % 9);
    agent.sendBytes(Buffer.concat([round % 2 === 0 ? frame(body) : body, Buffer.alloc(4)]));
    await agent.message('error');
  }
  const agent = await rig.restartAgent();
  await agent.message('snapshot-end');
  assert.equal(agent.sas.size, 2);
  await rig.left.swanctl.run(['--stats']);
});

test('what an agent must not say at that point ends the connection with its reason', async () => {
  await using rig = await Rig.start();
  await rig.killAgent();
  const path = rig.left.pluginSocket;
  {
    await using agent = await FakeAgent.dial(path);
    agent.ready();
    assert.match((await agent.message('error')).reason, /AGENT_HELLO has to come first/);
  }
  {
    await using agent = await FakeAgent.sync(path);
    agent.send({ kind: 'agent-hello', version: 1, server: 'again' });
    assert.match((await agent.message('error')).reason, /only once/);
  }
  {
    await using agent = await FakeAgent.dial(path);
    agent.send({ kind: 'agent-hello', version: 2, server: 'from the future' });
    assert.equal((await agent.message('error')).code, 'unsupported');
  }
  {
    await using agent = await FakeAgent.sync(path);
    agent.send({ kind: 'result', seq: 1_000_000n, code: 'ok', reason: undefined, spi: undefined });
    assert.match((await agent.message('error')).reason, /never sent/);
  }
});

test('a second agent is told that there is one, and does not disturb it', async () => {
  await using rig = await Rig.start();
  await using second = await FakeAgent.dial(rig.left.pluginSocket);
  assert.equal((await second.message('error')).code, 'busy');
  await second.closed();
  await rig.initiate();
  assert.equal(rig.agent.sas.size, 2);
});

test('who connects and says nothing makes room after a while', { timeout: 30_000 }, async () => {
  await using rig = await Rig.start();
  await rig.killAgent();
  await using silent = await FakeAgent.dial(rig.left.pluginSocket);
  await silent.message('hello');
  await logged(rig.left, 'no AGENT_HELLO in time');
  await silent.closed();
  await rig.restartAgent();
});

test('an agent that does not read is cut off when its queue is full, and its successor finds everything', async () => {
  await using rig = await Rig.start({ plugin: { queue_limit: 2_000 } });
  rig.agent.pause();
  rig.agent.answers = () => undefined;
  await rig.left.swanctl
    .load({
      connections: {
        bypass: {
          children: Object.fromEntries(
            Array.from({ length: 600 }, (_, index) => [
              `net-${index}`,
              {
                local_ts: '198.19.1.0/24',
                remote_ts: `198.19.${100 + (index >> 8)}.${index & 255}/32`,
                mode: 'pass',
                start_action: 'trap',
              },
            ]),
          ),
        },
      },
    })
    .catch(() => undefined);
  await logged(rig.left, /closing connection to agent: it is gone, or reads too slowly/, 20_000);
  const agent = await rig.restartAgent();
  await agent.message('snapshot-end');
  assert(agent.policies.size > 500);
});

test('the socket is private, goes with charon, and is not taken from one that lives', async () => {
  await using lab = await Lab.create();
  const { left } = await lab.pair();
  const { namespace, dir } = left;
  const path = `${dir}/charon.lagopus`;
  const start = (): Promise<CharonDaemon> => CharonDaemon.start({ namespace, dir, backend: 'lagopus' });
  {
    await using charon = await start();
    await logged(charon, 'waiting for agent');
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  }
  await assert.rejects(stat(path));
  {
    const other = createServer();
    other.listen(path);
    await once(other, 'listening');
    await using charon = await start();
    await logged(charon, 'Address already in use, will try again');
    other.close();
    await logged(charon, 'waiting for agent');
  }
  await writeFile(path, 'not a socket');
  {
    await using charon = await start();
    await logged(charon, 'Address already in use, will try again');
  }
  assert((await stat(path)).isFile());
});

test('only root, or the user charon runs as, may be its agent', async () => {
  await using rig = await Rig.start();
  await rig.killAgent();
  const { pluginSocket } = rig.left;
  // the folder and the mode are the first barrier: without them it is still the wrong user
  await chmod(rig.lab.dir, 0o711);
  await chmod(rig.sites.left.dir, 0o711);
  await chown(pluginSocket, 65_534, 65_534);
  const { stdout } = await rig.sites.left.namespace.run([
    ...(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '-e'] as const),
    `require('node:net').createConnection('${pluginSocket}').on('data', (data) => process.stdout.write(data.toString('latin1')))`,
  ]);
  assert.match(stdout, /user is not permitted/);
  const socket = createConnection(pluginSocket);
  await once(socket, 'data');
  socket.destroy();
});
