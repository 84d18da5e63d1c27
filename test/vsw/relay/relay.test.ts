import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { silentLogger } from '../../../src/util/index.ts';
import { type Change, parseRouterFile, Relay, type RelayOptions } from '../../../src/vsw/relay/index.ts';
import { ConfigType, decodeConfigRequest, encodeConfigReply } from '../../../src/vsw/relay/messages.ts';
import {
  FakeOpenconfigd,
  FakeVsw,
  type OpenconfigdOptions,
  routerConfig,
} from '../../support/fake-lagopus/index.ts';
import { eventually, TempDir } from '../../support/index.ts';

/** A whole SA, as the driver injects it. */
function sa(spi: number, vrf = 'vrf1'): readonly Change[] {
  const base = ['network-instances', 'network-instance', vrf, 'security', 'ipsec', 'sad', 'sad-entries'];
  const set = (...words: readonly string[]): Change => ({
    kind: 'set',
    path: [...base, String(spi), 'config', ...words],
  });
  return [
    set('sa-mode', 'tunnel'),
    set('local-peer', 'ipv4-address', '198.18.0.1'),
    set('remote-peer', 'ipv4-address', '198.18.0.2'),
    set('esp', 'encryption', 'aes-128-gcm', 'key-str', '00'.repeat(20)),
  ];
}

type Rig = AsyncDisposable & {
  readonly relay: Relay;
  readonly openconfigd: FakeOpenconfigd;
  readonly vsw: FakeVsw;
  readonly lost: readonly string[];
  readonly warnings: readonly string[];
};

async function startRig(
  options: {
    readonly openconfigd?: OpenconfigdOptions;
    readonly vsw?: '0.8.2' | '0.8.3';
    readonly relay?: Partial<RelayOptions>;
  } = {},
): Promise<Rig> {
  await using stack = new AsyncDisposableStack();
  const lost: string[] = [];
  const warnings: string[] = [];
  const note = (...said: readonly unknown[]): void => void warnings.push(String(said.at(-1)));
  const openconfigd = stack.use(
    await FakeOpenconfigd.start({ config: routerConfig('vrf1'), ...options.openconfigd }),
  );
  const relay = stack.use(
    await Relay.start({
      listen: '127.0.0.1:0',
      upstream: { kind: 'openconfigd', target: openconfigd.address, numbering: 'as-vsw' },
      holdTunnels: false,
      onReady: () => undefined,
      onLost: (reason) => void lost.push(reason),
      logger: { ...silentLogger, warn: note, error: note },
      ...options.relay,
    }),
  );
  const vsw = stack.use(
    await FakeVsw.start({ server: `127.0.0.1:${relay.port}`, numbering: options.vsw ?? '0.8.3', tickMs: 20 }),
  );
  const owned = stack.move();
  return {
    relay,
    openconfigd,
    vsw,
    lost,
    warnings,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const isReady = ({ relay, vsw }: Rig) =>
  eventually('vsw has its network instances', () => relay.isReady && vsw.commitCount >= 3);

describe('the relay', () => {
  it('passes on what changed when openconfigd was empty at first and both paths came in one commit', async () => {
    await using rig = await startRig({ openconfigd: { config: [] } });
    const { openconfigd, vsw, relay } = rig;
    await eventually('vsw is subscribed upstream', () => openconfigd.subscriberCount === 1);
    await eventually('and registered', () => openconfigd.registered.length > 30);
    await openconfigd.operate(routerConfig('vrf1'));
    await eventually('vsw has its network instances', () => relay.isReady);
    relay.inject(sa(5));
    await eventually('the SA', () => vsw.sas().length === 1);
    await openconfigd.operate(['set network-instances network-instance vrf2 config type L3VRF']);
    await eventually('the second VRF', () => vsw.crash !== undefined || vsw.hasVrf('vrf2'));
    assert.equal(vsw.crash, undefined);
    assert.equal(vsw.sas().length, 1);
  });

  for (const release of ['0.8.0', '0.8.1', '0.8.2', '0.8.3'] as const) {
    it(`gives vsw what openconfigd ${release} has, and its commits without waiting 20 s`, async () => {
      await using rig = await startRig({
        openconfigd: { release },
        vsw: release === '0.8.3' ? '0.8.3' : '0.8.2',
      });
      await isReady(rig);
      assert.ok(rig.vsw.vrf('vrf1'));
      const started = performance.now();
      assert.equal(
        await rig.openconfigd.operate(['set network-instances network-instance vrf2 config type L3VRF']),
        '',
      );
      assert.ok(performance.now() - started < 2_000);
      await eventually('vrf2', () => rig.vsw.vrf('vrf2') !== undefined);
      assert.equal(rig.openconfigd.crash, undefined);
      await eventually('every command is registered', () => rig.openconfigd.registered.length === 31);
    });
  }

  it('translates between a vsw and an openconfigd that number fields differently', async () => {
    for (const [vsw, release, numbering] of [
      ['0.8.2', '0.8.3', 'new'],
      ['0.8.3', '0.8.2', 'old'],
    ] as const) {
      await using openconfigd = await FakeOpenconfigd.start({ release, config: routerConfig('vrf1') });
      await using rig = await startRig({
        vsw,
        relay: { upstream: { kind: 'openconfigd', target: openconfigd.address, numbering } },
      });
      await isReady(rig);
      await eventually('every command is registered', () => openconfigd.registered.length === 31);
      assert.ok(rig.vsw.vrf('vrf1'));
    }
  });

  it('injects commits that openconfigd never sees', async () => {
    await using rig = await startRig();
    await isReady(rig);
    rig.relay.inject(sa(4711));
    await eventually('the SA is mature', () => rig.vsw.matureSpis('vrf1').includes(4711));
    assert.ok(!rig.openconfigd.commands.includes('ipsec sad'));
  });

  it('keeps upstream’s `security ipsec`, and deletes above it, from vsw, and says so', async () => {
    await using rig = await startRig();
    await isReady(rig);
    rig.relay.inject(sa(4711));
    const path = 'network-instances network-instance vrf1 security ipsec sad sad-entries 4711 config';
    await rig.openconfigd.operate([
      `set ${path} sa-mode tunnel`,
      `set ${path} local-peer ipv4-address 198.18.9.9`,
      `set ${path} remote-peer ipv4-address 198.18.9.8`,
    ]);
    await rig.openconfigd.operate([
      'delete network-instances network-instance vrf1 security ipsec sad sad-entries 4711',
    ]);
    await eventually('the SA is mature', () => rig.vsw.matureSpis('vrf1').includes(4711));
    assert.equal(rig.vsw.sas()[0]?.values.local, '198.18.0.1');
    assert.ok(rig.relay.status.filteredChanges >= 4);
    assert.ok(rig.warnings.some((warning) => warning.includes('security ipsec')));
  });

  it('bridges a restart of openconfigd with the difference only', async () => {
    await using rig = await startRig();
    await isReady(rig);
    rig.relay.inject(sa(4711));
    await eventually('injected', () => rig.vsw.commitCount === 4);
    await rig.openconfigd.restart();
    await eventually('subscribed again', () => rig.openconfigd.subscriberCount === 1);
    await eventually('registered again', () => rig.openconfigd.registered.length === 31);
    assert.equal(rig.openconfigd.crash, undefined);
    const [first] = rig.openconfigd.registered;
    assert.ok(first !== undefined && 'port' in first, 'the module comes before its commands');
    await sleep(100);
    assert.equal(rig.vsw.commitCount, 4, 'nothing differed');
    assert.ok(rig.vsw.isSubscribed);
    await rig.openconfigd.operate(['set network-instances network-instance vrf2 config type L3VRF']);
    await eventually('vrf2', () => rig.vsw.vrf('vrf2') !== undefined);
    assert.ok(rig.vsw.matureSpis('vrf1').includes(4711));
    assert.deepEqual(rig.lost, []);
  });

  it('sees at once that vsw ended, and injects again only when it has its network instances', async () => {
    await using rig = await startRig();
    await isReady(rig);
    rig.vsw.stop();
    await eventually('lost', () => rig.lost.length === 1);
    assert.equal(rig.relay.status.vsw, 'lost');
    assert.throws(() => rig.relay.inject(sa(1)), /vsw takes no configuration: vsw.conf has to name/);
    await rig.vsw.boot();
    await isReady(rig);
    rig.relay.inject(sa(4711));
    await eventually('the SA is mature', () => rig.vsw.matureSpis('vrf1').includes(4711));
  });

  it('serves a vsw that starts while openconfigd is away with what it last had', async () => {
    await using rig = await startRig();
    await isReady(rig);
    rig.openconfigd.stop();
    await rig.vsw.restart();
    await isReady(rig);
    assert.ok(rig.vsw.vrf('vrf1'));
    await rig.openconfigd.restart();
    await eventually('subscribed again', () => rig.openconfigd.subscriberCount === 1);
  });

  it('takes nothing away from vsw while openconfigd is away', async () => {
    await using rig = await startRig();
    await isReady(rig);
    const { commitCount } = rig.vsw;
    rig.openconfigd.stop();
    await eventually('lost', () => rig.relay.status.upstream?.kind === 'lost');
    assert.ok(rig.vsw.vrf('vrf1'));
    assert.deepEqual([rig.vsw.commitCount, rig.vsw.isSubscribed], [commitCount, true]);
    rig.relay.inject(sa(4711));
    await eventually('the SA is mature', () => rig.vsw.matureSpis('vrf1').includes(4711));
  });

  it('lets openconfigd’s two-phase commits pass while vsw is gone', async () => {
    const answers: number[] = [];
    const serialize = (bytes: Buffer): Buffer => bytes;
    type Upstream = ServerDuplexStream<ReturnType<typeof decodeConfigRequest>, Buffer>;
    let upstream: Upstream | undefined;
    const server = new Server();
    const method = {
      path: '/openconfig.Config/DoConfig',
      requestStream: true,
      responseStream: true,
    } as const;
    const codec = {
      requestSerialize: serialize,
      requestDeserialize: decodeConfigRequest,
      responseSerialize: serialize,
      responseDeserialize: serialize,
    };
    server.addService(
      { DoConfig: { ...method, ...codec } },
      {
        DoConfig: (stream: Upstream) => {
          upstream = stream;
          stream.on('data', ({ type }) => void answers.push(type));
          stream.on('error', () => undefined);
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    await using rig = await startRig({
      relay: {
        upstream: { kind: 'openconfigd', target: `127.0.0.1:${port}`, numbering: 'as-vsw' },
      },
    });
    await eventually('subscribed', () => answers.length === 2);
    const validate = (): void => {
      for (const type of [ConfigType.VALIDATE_START, ConfigType.VALIDATE_END]) {
        upstream?.write(encodeConfigReply({ type, path: [] }));
      }
    };
    validate();
    await eventually('vsw’s verdict', () => answers.length === 3);
    rig.vsw.stop();
    await eventually('vsw is gone', () => rig.lost.length === 1);
    validate();
    await eventually('a verdict', () => answers.length === 4);
    assert.deepEqual(answers.slice(2), [ConfigType.VALIDATE_SUCCESS, ConfigType.VALIDATE_SUCCESS]);
    server.forceShutdown();
  });

  it('serves a router file in openconfigd’s place', async () => {
    await using dir = new TempDir();
    const path = join(dir.path, 'router.conf');
    writeFileSync(path, `# a router\n${routerConfig('vrf1').join('\n')}\n`);
    await using rig = await startRig({ relay: { upstream: { kind: 'file', path } } });
    await isReady(rig);
    rig.relay.inject(sa(4711));
    await eventually('the SA is mature', () => rig.vsw.matureSpis('vrf1').includes(4711));
    assert.deepEqual(rig.relay.status.upstream, { kind: 'file', path, reason: undefined });
  });

  it('takes a router file’s strings without their quotes, as openconfigd sends them', () => {
    const lines = [
      'set interfaces interface if0 config device "0000:00:08.0"',
      '  set interfaces interface if0 config description "to the north"  ',
      'set interfaces interface if0 config enabled true',
    ];
    assert.deepEqual(
      parseRouterFile(lines.join('\n')).map(({ path }) => path.slice(4)),
      [
        ['device', '0000:00:08.0'],
        ['description', 'to the north'],
        ['enabled', 'true'],
      ],
    );
  });

  it('says what is wrong with a router file, and which line', () => {
    assert.throws(() => parseRouterFile('set a b\nshow c'), /line 2: expected "set PATH\.\.\. VALUE"/);
    const ipsec = 'set network-instances network-instance vrf1 security ipsec sad sad-entries 1 config';
    assert.throws(() => parseRouterFile(`${ipsec} sa-mode tunnel`), /filled from charon only/);
  });

  it('warns that vsw will be deaf when it is stopped', async () => {
    const rig = await startRig();
    await isReady(rig);
    await rig[Symbol.asyncDispose]();
    assert.ok(rig.warnings.some((warning) => warning.includes('vsw is deaf from now on')));
  });

  it('refuses to start where somebody listens', async () => {
    await using rig = await startRig();
    await assert.rejects(
      startRig({ relay: { listen: `127.0.0.1:${rig.relay.port}` } }),
      /cannot listen on .* is another ipsec-agent vsw, or openconfigd itself, there/,
    );
  });
});
