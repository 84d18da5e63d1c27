import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GenericContainer } from 'testcontainers';
import { eventually, inRepository, keyForms, replacingChildSa } from '../support/index.ts';
import { TAG } from './support/compose-file.ts';
import { ComposedGateway } from './support/gateway.ts';
import { Project } from './support/project.ts';
import { Traffic, type TrafficReport } from './support/traffic.ts';

/** RFC 4106: the last four octets of AES-GCM's keying material are salt. */
const SALT_HEX_DIGITS = 8;
const NEXT_VERSION = '0.1.1-next';

let project: Project;
let left: ComposedGateway;
let right: ComposedGateway;

before(async () => {
  project = await Project.create();
  left = new ComposedGateway(project, 'left');
  right = new ComposedGateway(project, 'right');
  await project.start(project.services());
});

after(() => project[Symbol.asyncDispose]());

/** Both charons have the same one CHILD_SA in use, and both dataplanes hold just what charon has. */
async function waitConverged(timeoutMs = 60_000): Promise<void> {
  await eventually(
    'both gateways converge',
    async () => {
      const [ours, theirs] = await Promise.all([left.swanctl.childSas(), right.swanctl.childSas()]);
      const [own, other] = [ours, theirs].map((sas) => sas.filter(({ state }) => state === 'INSTALLED'));
      const areOne = own?.length === 1 && other?.length === 1;
      if (!areOne || own[0]?.spiIn !== other[0]?.spiOut || own[0]?.spiOut !== other[0]?.spiIn) return false;
      await Promise.all([left.ask('diff'), right.ask('diff')]);
      return true;
    },
    { timeoutMs, intervalMs: 250 },
  );
}

/** Numbered packets both ways while something happens. */
async function underTraffic(happens: (flows: readonly Traffic[]) => Promise<void>): Promise<TrafficReport[]> {
  const ends = [left, right].map(({ client, clientAddress }) => ({
    service: client,
    address: clientAddress,
  }));
  const [leftEnd, rightEnd] = ends;
  assert(leftEnd !== undefined && rightEnd !== undefined);
  await using there = await Traffic.start(project, leftEnd, rightEnd, 1);
  await using back = await Traffic.start(project, rightEnd, leftEnd, 2);
  const flows = [there, back];
  await Promise.all(flows.map((flow) => flow.waitFlowing()));
  await happens(flows);
  await Promise.all(flows.map((flow) => flow.waitFlowing()));
  return await Promise.all(flows.map((flow) => flow.finish()));
}

function assertNothingLost(reports: readonly TrafficReport[]): void {
  for (const { sent, received, lost, duplicates } of reports) {
    assert(sent > 100, `only ${sent} sent`);
    assert.deepEqual({ received, lost, duplicates }, { received: sent, lost: 0, duplicates: 0 });
  }
}

function told(reports: readonly TrafficReport[]): string {
  return reports
    .map(({ sent, received, lost }) => `${sent} sent, ${received} received, ${lost} lost`)
    .join('; ');
}

test('what `docker compose up` starts is healthy, and pings go through the tunnel', async () => {
  await project.waitHealthy([...left.parts, ...right.parts, left.client]);
  await project.run(right.client, 'ping', '-c', '2', '-W', '2', left.clientAddress);
  await waitConverged();
  assert.match(await left.ask('sad'), /AES_GCM_16/);
  const [sa] = await left.swanctl.childSas();
  assert(sa !== undefined && sa.packetsIn > 0 && sa.packetsOut > 0, JSON.stringify(sa));
});

test('the agent is an ordinary user without capabilities or a network; the others have what they need', async () => {
  const statusOf = async (service: string, pid = '1'): Promise<Record<string, string>> => {
    const text = await project.run(service, 'cat', `/proc/${pid}/status`);
    return Object.fromEntries([...text.matchAll(/^(\w+):\t(.*)$/gm)].map(([, key, value]) => [key, value]));
  };
  const [agent, dataplane, charon] = await Promise.all(
    [left.agent, left.dataplane, left.strongswan].map((service) => statusOf(service)),
  );
  const [NET_BIND_SERVICE, NET_ADMIN, NET_RAW] = [10, 12, 13].map((bit) => 1 << bit);
  assert(NET_BIND_SERVICE !== undefined && NET_ADMIN !== undefined && NET_RAW !== undefined);
  // charon itself gives up what it needed to open its ports.
  const expected = [
    { status: agent, user: '4500', effective: 0, bounding: 0 },
    { status: dataplane, user: '0', effective: NET_ADMIN | NET_RAW, bounding: NET_ADMIN | NET_RAW },
    { status: charon, user: '0', effective: NET_ADMIN, bounding: NET_ADMIN | NET_BIND_SERVICE },
  ];
  for (const { status, user, effective, bounding } of expected) {
    const name = status?.Name;
    assert.equal(status?.Uid, Array(4).fill(user).join('\t'), name);
    assert.equal(status?.Gid, Array(4).fill('4500').join('\t'), name);
    const sets = ['CapPrm', 'CapEff', 'CapBnd'].map((set) => Number.parseInt(status?.[set] ?? '', 16));
    assert.deepEqual(sets, [effective, effective, bounding], name);
    assert.equal(status?.NoNewPrivs, '1', name);
  }
  const links = (await project.run(left.agent, 'ls', '/sys/class/net')).trim().split('\n');
  assert(links.includes('lo') && !links.some((name) => /^(eth|ipsec)\d/.test(name)), links.join(' '));
});

test('the shared folder holds four sockets for one group, and each is opened by nobody else', async () => {
  const listing = await project.run(
    left.dataplane,
    ...['sh', '-c', 'cd /run/lagopus-ipsec && stat -c "%n %F %a %u:%g" . *'],
  );
  assert.deepEqual(listing.trim().split('\n').sort(), [
    '. directory 3770 0:4500',
    'agent.sock socket 660 4500:4500',
    'charon.lagopus socket 660 0:4500',
    'charon.vici socket 770 0:4500',
    'dataplane.sock socket 660 0:4500',
  ]);
  const stranger = await project.exec(left.agent, ['ipsec-agent', 'status'], '65534:65534');
  assert.notEqual(stranger.status, 0);
  assert.match(stranger.stderr, /may not open/);
});

test('rekeyings from both sides lose nothing', async (t) => {
  const reports = await underTraffic(async () => {
    await replacingChildSa([left, right], () => left.swan('--rekey', '--child', 'net-right'), 20_000);
    await replacingChildSa([right, left], () => right.swan('--rekey', '--child', 'net-left'), 20_000);
  });
  t.diagnostic(told(reports));
  assertNothingLost(reports);
  await waitConverged();
});

test('an agent that is killed and started again costs no packet', async (t) => {
  const reports = await underTraffic(async () => {
    await project.kill(left.agent);
    await project.startAgain(left.agent);
    await left.waitReady();
    await waitConverged();
  });
  t.diagnostic(told(reports));
  assertNothingLost(reports);
});

test("the agent's image is upgraded under traffic, and a rekeying follows: nothing is lost", async (t) => {
  const context = mkdtempSync(join(tmpdir(), `lagopus-${process.pid}-`));
  t.after(() => rmSync(context, { recursive: true }));
  const { version: _, ...manifest } = JSON.parse(await readFile(inRepository('package.json'), 'utf8'));
  writeFileSync(join(context, 'package.json'), JSON.stringify({ ...manifest, version: NEXT_VERSION }));
  writeFileSync(
    join(context, 'Dockerfile'),
    `FROM lagopus-ipsec-agent/agent:${TAG}\nCOPY package.json /app/package.json\n`,
  );
  const image = 'lagopus-ipsec-agent/agent:next';
  await GenericContainer.fromDockerfile(context).build(image, { deleteOnExit: false });

  assert.doesNotMatch(await left.ask('status'), new RegExp(NEXT_VERSION));
  const reports = await underTraffic(async () => {
    await project.remove(left.agent);
    await project.start([left.agent], image);
    await left.waitReady();
    await replacingChildSa([left, right], () => left.swan('--rekey', '--child', 'net-right'), 20_000);
  });
  t.diagnostic(told(reports));
  assert.match(await left.ask('status'), new RegExp(NEXT_VERSION));
  assertNothingLost(reports);
  await waitConverged();
});

for (const part of ['dataplane', 'strongswan'] as const) {
  for (const side of ['left', 'right'] as const) {
    test(`packets flow again after ${side}'s ${part} was killed and started`, async (t) => {
      const gateway = side === 'left' ? left : right;
      const reports = await underTraffic(async () => {
        await project.kill(gateway[part]);
        await project.startAgain(gateway[part]);
        await gateway.waitReady();
        // The peer's own liveness check finds a new charon late; what its clients send finds it at once.
        await project.exec(gateway.client, ['ping', '-c', '1', '-W', '1', left.clientAddress]);
        await waitConverged();
      });
      t.diagnostic(told(reports));
    });
  }
}

test('a gateway whose network went away is started again as a whole', async () => {
  await project.kill(right.name);
  for (const part of [...right.parts]) await project.kill(part);
  for (const part of [right.name, ...right.parts]) await project.startAgain(part);
  await right.waitReady();
  await project.exec(right.client, ['ping', '-c', '3', '-W', '2', left.clientAddress]);
  await waitConverged();
});

test('a gateway without its dataplane refuses tunnels, says why, and takes them when it is back', async () => {
  await project.stop(right.dataplane);
  await left.swan('--terminate', '--ike', 'right');
  const refused = await project.exec(left.strongswan, [
    ...['swanctl', '--initiate', '--child', 'net-right', '--timeout', '15'],
  ]);
  assert.notEqual(refused.status, 0, refused.stdout);
  assert.match(refused.stdout + refused.stderr, /NO_PROPOSAL_CHOSEN/);
  assert.match(await project.logs(right.strongswan), /refus|not ready|dataplane/);
  assert.deepEqual(
    (await right.swanctl.childSas()).filter(({ state }) => state === 'INSTALLED'),
    [],
  );
  const asked = await project.exec(right.agent, ['ipsec-agent', 'wait-ready', '--timeout', '1']);
  assert.equal(asked.status, 1);
  assert.match(asked.stderr, /dataplane: .+/);

  await project.stop(right.strongswan);
  await project.startAgain(right.strongswan);
  await eventually(
    'a charon that starts without one says why it loads nothing',
    async () =>
      /connections are not loaded, every tunnel is refused: the agent is not ready: .*"dataplane":\{/.test(
        await project.logs(right.strongswan),
      ),
    { timeoutMs: 20_000, intervalMs: 250 },
  );

  await project.startAgain(right.dataplane);
  await right.waitReady();
  await project.exec(right.client, ['ping', '-c', '3', '-W', '2', left.clientAddress]);
  await waitConverged();
});

test('no key is in a log, an environment or what docker tells', async () => {
  await project.stop(left.agent);
  const keys = await left.keys();
  await project.startAgain(left.agent);
  assert(keys.length >= 2, `${keys.length} keys`);
  const forms = [
    ...keys.flatMap((key) => keyForms(Buffer.from(key.slice(0, -SALT_HEX_DIGITS), 'hex'))),
    Buffer.from('demonstration key'),
  ];
  const texts = await Promise.all(
    project.started.flatMap((name) => [
      project.logs(name).then((text) => ({ what: `log of ${name}`, text })),
      project.inspect(name).then((told) => ({ what: `inspect ${name}`, text: JSON.stringify(told) })),
      project
        .exec(name, ['cat', '/proc/1/environ', '/proc/1/cmdline'])
        .then(({ stdout }) => ({ what: `environment of ${name}`, text: stdout })),
    ]),
  );
  assert(
    texts.some(({ what, text }) => what === `log of ${left.strongswan}` && /CHILD_SA net-right/.test(text)),
  );
  const leaking = texts.filter(({ text }) => forms.some((form) => Buffer.from(text).includes(form)));
  assert.deepEqual(
    leaking.map(({ what }) => what),
    [],
  );
});
