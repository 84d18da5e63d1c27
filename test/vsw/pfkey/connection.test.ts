import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SecretBytes } from '../../../src/util/index.ts';
import {
  MessageType,
  PfkeyConnection,
  type PfkeyMessage,
  type PfkeySa,
  SaState,
} from '../../../src/vsw/pfkey/index.ts';
import { FakeOpenconfigd, FakeVsw, routerConfig } from '../../support/fake-lagopus/index.ts';
import { eventually, TempDir } from '../../support/index.ts';

type Rig = AsyncDisposable & {
  readonly vsw: FakeVsw;
  readonly connection: PfkeyConnection;
  readonly upcalls: readonly PfkeyMessage[];
  readonly ends: readonly string[];
};

async function startRig(tickMs = 20): Promise<Rig> {
  const dir = new TempDir();
  const pfkeyPath = (vrf: string): string => join(dir.path, `lagopus-${vrf}.sock`);
  const openconfigd = await FakeOpenconfigd.start({ release: '0.8.1', config: routerConfig('vrf1') });
  const vsw = await FakeVsw.start({ server: openconfigd.address, numbering: '0.8.2', tickMs, pfkeyPath });
  const upcalls: PfkeyMessage[] = [];
  const ends: string[] = [];
  const connection = await eventually(
    'a PF_KEY socket',
    () =>
      new PfkeyConnection({
        path: pfkeyPath('vrf1'),
        onUpcall: (message) => upcalls.push(message),
        onEnd: ({ message }) => ends.push(message),
      }),
  );
  return {
    ...{ vsw, connection, upcalls, ends },
    [Symbol.asyncDispose]: async () => {
      connection[Symbol.dispose]();
      vsw.stop();
      openconfigd.stop();
      await dir[Symbol.asyncDispose]();
    },
  };
}

const pair = { source: 0xc6120002, destination: 0xc6120001 };

function sa(spi: number, seconds = { hardSeconds: 0, softSeconds: 0 }): PfkeySa {
  const key = new SecretBytes(new Uint8Array(20).fill(spi & 255));
  return { ...pair, spi, encryption: { algorithm: 20, key }, ...seconds };
}

const selector = (address: number) => ({ address, prefixLength: 24, port: 0 });
const inboundBypass = {
  direction: 'inbound',
  type: 'bypass',
  priority: 1,
  source: selector(0xc6130200),
  destination: selector(0xc6130100),
  protocol: 0,
  tunnel: pair,
  reqid: 1,
} as const;

describe('a PF_KEY connection', () => {
  it('adds an SA, binds a policy to it and sees it mature', async () => {
    await using rig = await startRig();
    const { connection } = rig;
    assert.equal((await connection.ask({ kind: 'spd-add', ...inboundBypass })).errno, 2, 'ENOENT: no SA yet');
    assert.equal((await connection.ask({ kind: 'add', ...sa(5000) })).errno, 0);
    assert.equal((await connection.ask({ kind: 'get', ...pair, spi: 5000 })).sa?.state, SaState.larval);
    const added = await connection.ask({ kind: 'spd-add', ...inboundBypass });
    assert.equal(added.errno, 0);
    assert.equal((await connection.ask({ kind: 'spd-add', ...inboundBypass })).errno, 17, 'EEXIST');
    assert.equal((await connection.ask({ kind: 'spd-update', ...inboundBypass })).errno, 0);
    assert.equal((await connection.ask({ kind: 'spd-get', id: added.policy?.id ?? 0 })).errno, 0);
    await eventually('mature', async () => {
      const { sa: state } = await connection.ask({ kind: 'get', ...pair, spi: 5000 });
      return state?.state === SaState.mature;
    });
    assert.equal((await connection.ask({ kind: 'spd-delete', ...inboundBypass })).errno, 0);
    await connection.ask({ kind: 'delete', ...pair, spi: 5000 });
    assert.equal((await connection.ask({ kind: 'get', ...pair, spi: 5000 })).errno, 2);
    assert.deepEqual([rig.vsw.crash, rig.ends], [undefined, []]);
  });

  it('lists an empty SAD, of which vsw says nothing, and one of 60 SAs', async () => {
    await using rig = await startRig();
    assert.deepEqual(await rig.connection.dump(), []);
    const spis = Array.from({ length: 60 }, (_, index) => 5000 + index);
    for (const spi of spis) await rig.connection.ask({ kind: 'add', ...sa(spi) });
    const listed = await rig.connection.dump();
    assert.deepEqual(listed.map((message) => message.sa?.spi).sort(), spis);
    assert.ok(listed[0]?.encryptionKey instanceof SecretBytes);
  });

  it('asks one after the other, whatever is asked at once', async () => {
    await using rig = await startRig();
    const { connection } = rig;
    const added = [5000, 5001, 5002].map((spi) => connection.ask({ kind: 'add', ...sa(spi) }));
    const [dump, register, ...adds] = await Promise.all([
      connection.dump(),
      connection.ask({ kind: 'register' }),
      ...added,
    ]);
    assert.equal(dump.length, 3);
    assert.equal(register.type, MessageType.register);
    assert.deepEqual(
      adds.map(({ sa: state }) => state?.spi),
      [5000, 5001, 5002],
    );
  });

  it('hands on upcalls that come between answers', async () => {
    await using rig = await startRig();
    const { connection, upcalls } = rig;
    await connection.ask({ kind: 'add', ...sa(5000, { hardSeconds: 2, softSeconds: 1 }) });
    await connection.ask({ kind: 'spd-add', ...inboundBypass });
    const asking = setInterval(() => void connection.ask({ kind: 'register' }).catch(() => undefined), 5);
    await eventually('soft and hard', () => upcalls.some(({ hard }) => hard !== undefined));
    clearInterval(asking);
    const [first] = upcalls;
    assert.deepEqual([first?.type, first?.sequence, first?.sa?.spi], [MessageType.expire, 0, 5000]);
    assert.ok(first?.soft !== undefined);
  });

  it('drops what waits with a key that was wiped meanwhile, and goes on', async () => {
    await using rig = await startRig();
    const { connection } = rig;
    const unwanted = sa(5000);
    const first = connection.ask({ kind: 'register' });
    const add = assert.rejects(connection.ask({ kind: 'add', ...unwanted }), /PF_KEY add: a wiped key/);
    const last = connection.ask({ kind: 'add', ...sa(5001) });
    unwanted.encryption.key.wipe();
    await add;
    assert.deepEqual([(await first).errno, (await last).errno, rig.ends], [0, 0, []]);
    assert.deepEqual(
      rig.vsw.sas().map(({ spi }) => spi),
      [5001],
    );
  });

  it('tells once that vsw died, and fails whatever waits', async () => {
    await using rig = await startRig();
    const waiting = rig.connection.ask({ kind: 'register' });
    rig.vsw.stop();
    const outcome = await waiting.then(
      () => 'answered',
      (error: unknown) => String(error),
    );
    await eventually('the end', () => rig.ends.length === 1);
    assert.match(`${outcome} ${rig.ends}`, /vsw closed the PF_KEY connection or ended/);
    await assert.rejects(rig.connection.ask({ kind: 'register' }), /has ended/);
    await sleep(20);
    assert.equal(rig.ends.length, 1);
  });

  it('says that nobody listens', async () => {
    await using dir = new TempDir();
    const open = (): PfkeyConnection =>
      new PfkeyConnection({
        path: join(dir.path, 'nobody.sock'),
        onUpcall: () => undefined,
        onEnd: () => undefined,
      });
    assert.throws(open, /cannot connect to .*nobody\.sock: No such file/);
  });
});
