import assert from 'node:assert/strict';
import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { FakeCharon } from '../support/fake-charon.ts';
import {
  type Argv,
  CHILD_NAME,
  CommandError,
  command,
  eventually,
  IKE_NAME,
  inRepository,
  Lab,
  ManagedProcess,
  TempDir,
} from '../support/index.ts';
import { loadViciTunnel, startViciPair } from '../support/vici-pair.ts';

const SWANCTL = inRepository('build', 'test-tools', 'swanctl');
const AGENT = inRepository('bin', 'ipsec-agent');

/** Runs `ipsec-agent charon ...`. */
async function charon(uri: string, ...args: readonly string[]): Promise<string> {
  return (await command([AGENT, 'charon', ...args, '--vici', uri])).stdout;
}

/** What it prints on standard error when it fails, with its status. */
async function failure(argv: Argv): Promise<{ readonly status: number | undefined; readonly text: string }> {
  try {
    await command(argv);
  } catch (error) {
    if (error instanceof CommandError) {
      return { status: error.status, text: error.message.split('\n').slice(1).join('\n').trim() };
    }
    throw error;
  }
  return assert.fail(`${argv.join(' ')} did not fail`);
}

test('ipsec-agent charon shows and commands a real charon', { timeout: 90_000 }, async () => {
  await using lab = await Lab.create();
  const pair = await startViciPair(lab, '5.9.8');
  await loadViciTunnel(pair);
  const { uri } = pair;
  const monitorLog = join(lab.dir, 'monitor.log');
  lab.use(
    new ManagedProcess({
      name: 'monitor',
      argv: [AGENT, 'charon', 'monitor', '--format', 'ndjson', '--vici', uri],
      logPath: monitorLog,
    }),
  );
  const monitored = async (): Promise<readonly unknown[]> =>
    (await readFile(monitorLog, 'utf8'))
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line).kind);

  assert.match(await charon(uri, 'version'), /^strongSwan 5\.9\.8 charon-systemd /);
  assert.match(await charon(uri, 'stats'), /^IKE_SAs +0, of them 0 half-open$/m);
  assert.equal(JSON.parse(await charon(uri, 'stats', '--format', 'json')).ikeSas.total, 0);
  assert.equal(await charon(uri, 'list-sas'), '');
  assert.deepEqual(JSON.parse(await charon(uri, 'list-sas', '--format', 'json')), []);

  // The monitor has to have registered before there is something to see.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const initiated = await charon(uri, 'initiate', '--child', CHILD_NAME);
  assert.match(initiated, /^\[IKE\] .*\binitiating IKE_SA/m);
  assert.match(initiated, /^initiate: done$/m);

  const table = await charon(uri, 'list-sas');
  assert.match(table, /^IKE_SA +STATE +LOCAL .* SPI IN +SPI OUT +ALGORITHM/);
  assert.match(
    table,
    /^gw\[1\] +ESTABLISHED .* net\{1\} +INSTALLED +[0-9a-f]{8} +[0-9a-f]{8} +AES_GCM_16-128/m,
  );
  const [ike] = JSON.parse(await charon(uri, 'list-sas', '--format', 'json'));
  assert.deepEqual(
    [ike.name, ike.children[0].state, ike.children[0].installed.inbound.bytes],
    [IKE_NAME, 'INSTALLED', '0'],
  );
  assert.match(await charon(uri, 'list-conns'), /^gw +IKEv2 +198\.18\.0\.1 +198\.18\.0\.2 +net +TUNNEL/m);
  assert.equal(await charon(uri, 'list-pols'), '');

  for (const [verb, name] of [
    ['--list-sas', 'list-sas'],
    ['--list-conns', 'list-conns'],
    ['--stats', 'stats'],
    ['--version', 'version'],
  ] as const) {
    const swanctl = [SWANCTL, verb, '--raw', ...(verb === '--version' ? ['--daemon'] : []), '--uri', uri];
    const env: Argv = ['env', `STRONGSWAN_CONF=${join(pair.left.dir, 'strongswan.conf')}`];
    const theirs = (await command([...env, ...swanctl])).stdout;
    assert.equal(comparable(await charon(uri, name, '--format', 'raw')), comparable(theirs), name);
  }

  assert.match(await charon(uri, 'rekey', '--child-id', '1'), /^rekey: done, 1 SAs$/m);
  assert.match(await charon(uri, 'terminate', '--ike-id', '1'), /^terminate: done, 1 SAs$/m);
  await eventually('the events', async () => {
    const kinds = await monitored();
    return kinds.includes('child-rekey') && kinds.at(-1) === 'child-updown';
  });
  assert.deepEqual((await monitored()).slice(0, 2), ['ike-updown', 'child-updown']);

  const refused = await failure([AGENT, 'charon', 'initiate', '--child', 'nothing', '--vici', uri]);
  assert.equal(refused.status, 1);
  assert.match(refused.text, /ipsec-agent: charon did not initiate: CHILD_SA config 'nothing' not found$/);
});

test('says in one line why it cannot talk to charon', { timeout: 60_000 }, async () => {
  await using dir = new TempDir();
  const missing = await failure([AGENT, 'charon', 'version', '--vici', `unix://${dir.file('nobody')}`]);
  assert.deepEqual(
    [missing.status, missing.text],
    [
      1,
      `ipsec-agent: no VICI on unix://${dir.file('nobody')} (connect ENOENT ${dir.file('nobody')}): ` +
        'is charon running, with the vici plugin?',
    ],
  );
  const closed = await failure([AGENT, 'charon', 'version', '--vici', 'tcp://127.0.0.1:9']);
  assert.equal(closed.status, 1);
  assert.match(closed.text, /^ipsec-agent: no VICI on tcp:.*ECONNREFUSED.*$/);
  const unknown = await failure([AGENT, 'charon', 'fly']);
  assert.equal(unknown.status, 1);
  assert.match(unknown.text, /^ipsec-agent: no command "fly"; there is: version, .*$/);
});

test('says in one line that it may not', { timeout: 60_000 }, async (context) => {
  const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] as const;
  try {
    await command([...nobody, AGENT, '--version']);
  } catch {
    return context.skip('another user may not even read this repository');
  }
  await using dir = new TempDir();
  await chmod(dir.path, 0o711);
  const path = dir.file('vici');
  await using _fake = await FakeCharon.listen(path);
  await chmod(path, 0o600);
  const { status, text } = await failure([...nobody, AGENT, 'charon', 'version', '--vici', `unix://${path}`]);
  assert.equal(status, 1);
  assert.match(text, /^ipsec-agent: no VICI on unix:.*EACCES.*: run as root or in the socket's group$/);
});

/** Without what changes from one moment to the next. */
function comparable(raw: string): string {
  return raw
    .replace(
      /\b(established|install-time|use-in|use-out|running|since|used|free|idle|sbrk|mmap)=[^}]*?(?= [a-z-]+=|\})/g,
      '$1=*',
    )
    .replace(/(active|queues) \{[^}]*\}/g, '$1 {*}')
    .replace(/scheduled=\d+/, 'scheduled=*');
}
