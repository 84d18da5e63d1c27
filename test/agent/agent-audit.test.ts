import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { agentConfigSchema, askAgent, runAgent } from '../../src/agent/index.ts';
import { Direction } from '../../src/proto/index.ts';
import { silentLogger } from '../../src/util/index.ts';
import { sampleSa } from '../keyfeed/samples.ts';
import { command } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { FakeCharon } from '../support/fake-charon.ts';
import { FakeDataplane } from '../support/fake-dataplane.ts';
import { FakePlugin } from '../support/fake-plugin.ts';
import { keyForms } from '../support/key-forms.ts';
import { inRepository } from '../support/repository.ts';
import { TempDir } from '../support/temp-dir.ts';
import { sampleChild, sampleIke } from '../vici/samples.ts';

/** `sampleSa`'s, outbound; and the inbound one of a CHILD_SA that nobody told of. */
const [TOLD, UNTOLD] = [0xc0a80001, 0xc0a80009];

const { encrKey } = sampleSa();
const KEY = encrKey?.reveal((bytes) => Buffer.from(bytes)) ?? Buffer.alloc(0);

function scrape(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/metrics' }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });
}

test('an agent tells where charon and its plugin do not agree: status, explain and metrics', async () => {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(new TempDir());
  const dataplane = stack.use(new FakeDataplane(dir.file('dataplane.sock')));
  await dataplane.start();
  const plugin = stack.use(await FakePlugin.listen(dir.file('plugin.sock')));
  plugin.sas = [sampleSa()];
  const version = { daemon: 'charon', version: '5.9.8', sysname: 'Linux', release: '6', machine: 'x86_64' };
  const charon = stack.use(
    await FakeCharon.listen(dir.file('vici'), { commands: { version: () => ({ reply: version }) } }),
  );
  const child = sampleChild({ name: 'lost', 'spi-in': UNTOLD.toString(16), 'spi-out': '00000000' });
  charon.sas = [{ name: 'gw', fields: sampleIke(), children: [child] }];
  const socket = dir.file('agent.sock');
  const metrics = dir.file('metrics.sock');
  const stop = new AbortController();
  const config = agentConfigSchema.parse({
    plugin: { socket: dir.file('plugin.sock') },
    vici: { uri: `unix://${dir.file('vici')}` },
    dataplane: { target: dataplane.target },
    control: { socket },
    metrics: { listen: `unix://${metrics}` },
    auditIntervalMs: 1_000,
  });
  const running = runAgent(config, { logger: silentLogger, version: 'test', signal: stop.signal });
  stack.defer(async () => {
    stop.abort();
    await running;
  });
  dataplane.status = {
    spiSlots: [
      { vrf: 'vrf1', direction: Direction.DIRECTION_INBOUND, slots: 127, used: 12, collisionOdds: 0.09375 },
    ],
    notes: ['openconfigd is lost'],
  };
  const call = (): { readonly signal: AbortSignal } => ({ signal: AbortSignal.timeout(5_000) });

  const { audit } = await eventually('both findings', async () => {
    const status = await askAgent(socket, 'status', call());
    return status.audit.findings.length === 2 ? status : undefined;
  });
  assert.deepEqual(
    audit.findings.map(({ kind, sa, childSa }) => [kind, sa, childSa]),
    [
      ['untold', 'inbound esp c0a80009', 'lost{7}'],
      ['unlisted', 'outbound esp c0a80001', null],
    ],
  );
  const explain = (spi: number) => askAgent(socket, 'explain', { ...call(), argument: spi.toString(16) });
  const [untold] = (await explain(UNTOLD)).sas;
  assert.deepEqual([untold?.charon?.childSa, untold?.desired], ['lost{7}', null]);
  assert.match(untold?.next.join('\n') ?? '', /its plugin has not told of it: rekey the CHILD_SA/);
  const [unlisted] = (await explain(TOLD)).sas;
  assert.deepEqual([unlisted?.charon, unlisted?.desired?.reqid], [null, 1]);
  assert.match(unlisted?.next.join('\n') ?? '', /charon lists it no more/);
  const text = await scrape(metrics);
  assert.match(text, /^lagopus_ipsec_audit_findings\{kind="untold"\} 1$/m);
  assert.match(text, /^lagopus_ipsec_audit_findings\{kind="unlisted"\} 1$/m);
  const { stdout } = await command([inRepository('bin', 'ipsec-agent'), 'status', '--socket', socket]);
  assert.match(
    stdout,
    /^differs +inbound esp c0a80009: listed by charon \(lost\{7\}\), not told by its plugin/m,
  );
  assert.match(stdout, /^differs +outbound esp c0a80001: told by the plugin, not listed by charon/m);
  assert.match(stdout, /^SPI slots +vrf1 inbound 12 of 127; .* 9\.4 %$/m);
  assert.match(stdout, /^note +openconfigd is lost$/m);
  assert.match(text, /^lagopus_ipsec_spi_slots_used\{vrf="vrf1",direction="inbound"\} 12$/m);
  dataplane.status = undefined;
  const without = await askAgent(socket, 'status', call());
  assert.deepEqual([without.spiSlots, without.dataplaneNotes], [[], []], 'one that knows no such call');
  const plan = await askAgent(socket, 'plan', call());
  assert.deepEqual(
    plan.rekeys.map(({ sa }) => sa),
    ['outbound esp c0a80001 198.18.0.2'],
  );
  const told = JSON.stringify([audit, plan, untold, unlisted, await askAgent(socket, 'diff', call())]);
  for (const form of keyForms(KEY)) assert.ok(!`${told}${text}${stdout}`.includes(form.toString('latin1')));
  charon.sas = [];
  plugin.change({ kind: 'del-sa', id: sampleSa().id });
  await eventually('no finding', async () => {
    const status = await askAgent(socket, 'status', call());
    return status.audit.findings.length === 0;
  });
});
