import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import {
  command,
  formatSettings,
  inRepository,
  isListening,
  Lab,
  type NetNamespace,
  TempDir,
} from '../support/index.ts';

const SHIPPED = inRepository('strongswan-conf');

/**
 * strongSwan's configuration as Debian installs it, with the shipped snippets at the places their
 * comments name. Only what a second daemon on a machine needs is put on top.
 */
async function installConfiguration(dir: string): Promise<{ readonly conf: string; readonly log: string }> {
  const [conf, log] = [join(dir, 'strongswan.conf'), join(dir, 'charon.log')];
  await cp('/etc/strongswan.d', join(dir, 'strongswan.d'), { recursive: true });
  for (const name of await readdir(SHIPPED)) {
    if (!name.endsWith('.conf')) continue;
    const place = /strongswan\.d\/\S+(?=\.\s)/.exec(await readFile(join(SHIPPED, name), 'utf8'))?.[0];
    assert(place !== undefined && basename(place) === name, `${name} says where it goes`);
    await cp(join(SHIPPED, name), join(dir, place));
  }
  const own = formatSettings({
    charon: {
      plugins: {
        vici: { socket: `unix://${join(dir, 'charon.vici')}` },
        'kernel-lagopus': { socket: `unix://${join(dir, 'charon.lagopus')}` },
      },
      filelog: { tests: { path: log, default: 1, knl: 2, flush_line: true } },
    },
  });
  await writeFile(conf, `${await readFile('/etc/strongswan.conf', 'utf8')}\n${own}`);
  return { conf, log };
}

/** Debian's charon, our plugin among its own, with an interface named as the dataplane's. */
async function startCharon(namespace: NetNamespace, dir: string, conf: string): Promise<AsyncDisposable> {
  await namespace.ip('tuntap', 'add', 'ipsec0', 'mode', 'tun');
  await namespace.addAddress('ipsec0', '198.19.7.7/32');
  await namespace.ip('link', 'set', 'ipsec0', 'up');
  const charon = namespace.spawn({
    name: 'charon',
    argv: [
      ...(['env', `STRONGSWAN_CONF=${conf}`, 'sh', '-ec'] as const),
      `mount --bind '${inRepository('build', 'plugins')}' /usr/lib/ipsec/plugins; exec /usr/sbin/charon-systemd`,
    ],
    logPath: join(dir, 'charon.out'),
  });
  await charon.waitFor('VICI answers', () => isListening(join(dir, 'charon.vici')));
  return charon;
}

test('the snippets, installed where they say, take effect in charon', async (t) => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace('charon');
  const { conf, log } = await installConfiguration(lab.dir);
  lab.use(await startCharon(namespace, lab.dir, conf));
  const logged = await readFile(log, 'utf8');

  await t.test('kernel-lagopus is loaded before kernel-netlink and listens', async () => {
    const loaded = /loaded plugins: (.*)/.exec(logged)?.[1]?.split(' ') ?? [];
    const [ours, netlink] = [loaded.indexOf('kernel-lagopus'), loaded.indexOf('kernel-netlink')];
    assert(ours >= 0 && ours < netlink, loaded.join(' '));
    assert(await isListening(join(lab.dir, 'charon.lagopus')));
  });
  await t.test('the IKE sockets carry the mark, and marked packets skip the table of routes', async () => {
    const { stdout } = await namespace.run(['ss', '-uaneH', 'sport = :500 or sport = :4500']);
    const sockets = stdout.trim().split('\n');
    assert.equal(sockets.length, 4, stdout);
    for (const socket of sockets) assert.match(socket, /fwmark:0x42/);
    assert.match(await namespace.ip('rule'), /not from all fwmark 0x42 lookup 220/);
  });
  await t.test("the dataplane's interface is none of charon's", () => {
    assert.match(logged, /127\.0\.0\.1/);
    assert.doesNotMatch(logged, /198\.19\.7\.7/);
  });
  await t.test('the sizes of the IKE_SA table are powers of two, as charon wants them', async () => {
    const snippet = await readFile(join(SHIPPED, 'charon-lagopus.conf'), 'utf8');
    for (const key of ['ikesa_table_size', 'ikesa_table_segments']) {
      const value = Number(new RegExp(`${key} = (\\d+)`).exec(snippet)?.[1]);
      assert.equal(Math.log2(value) % 1, 0, key);
    }
  });
});

test('the systemd units are valid', async (t) => {
  if (!existsSync('/usr/bin/systemd-analyze')) {
    t.skip('systemd is not installed');
    return;
  }
  await using dir = new TempDir();
  const dropIns = dir.file('strongswan.service.d');
  await mkdir(dropIns);
  const units = join(SHIPPED, 'systemd');
  for (const name of await readdir(units)) {
    const text = await readFile(join(units, name), 'utf8');
    const place = name.endsWith('.service') ? dir.file(name) : join(dropIns, 'lagopus.conf');
    // systemd wants every program it is to start to exist.
    await writeFile(place, text.replaceAll('/usr/bin/ipsec-agent', inRepository('bin', 'ipsec-agent')));
  }
  await cp('/lib/systemd/system/strongswan.service', dir.file('strongswan.service'));
  const services = (await readdir(dir.path)).filter((name) => name.endsWith('.service'));
  assert.deepEqual(services.sort(), [
    'ipsec-agent.service',
    'ipsec-dataplane.service',
    'ipsec-vsw.service',
    'strongswan.service',
  ]);
  const { stdout, stderr } = await command([
    ...(['env', `SYSTEMD_UNIT_PATH=${dir.path}:`, 'systemd-analyze', 'verify'] as const),
    ...['--man=no', '--recursive-errors=no', ...services.map((name) => dir.file(name))],
  ]);
  assert.equal(stdout + stderr, '');
});
