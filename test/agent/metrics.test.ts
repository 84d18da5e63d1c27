import assert from 'node:assert/strict';
import { type RequestOptions, request } from 'node:http';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { agentConfigSchema } from '../../src/agent/index.ts';
import { StatusMetrics } from '../../src/agent/metrics.ts';
import { parseMetricsAddress, startMetricsServer } from '../../src/agent/metrics-server.ts';
import type { StatusReport } from '../../src/agent/reports.ts';
import { RequestMeter } from '../../src/agent/request-meter.ts';
import type { SyncAnswer } from '../../src/sync/index.ts';
import { AgentError, silentLogger } from '../../src/util/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sampleSa } from '../support/sample-sas.ts';
import { TempDir } from '../support/temp-dir.ts';

const SUMMARY = { added: 1, updated: 2, deleted: 3, failed: 4, unknown: 5 } as const;
const CONNECTED = { state: 'connected', peer: 'somebody', reason: null } as const;

const STATUS: StatusReport = {
  ...{ version: '1.2.3', source: 'plugin', isReady: true },
  ...{ plugin: CONNECTED, vici: { ...CONNECTED, state: 'connecting' }, dataplane: CONNECTED },
  ...{ charonInstanceId: 'a', dataplaneBootId: 'b', pending: 7 },
  desired: { sas: 10, policies: 20 },
  actual: { sas: 9, policies: 19 },
  spiSlots: [{ vrf: 'vrf1', direction: 'both', slots: 127, used: 12, collisionOdds: 0.09375 }],
  dataplaneNotes: ['openconfigd is lost'],
  repairs: [{ key: 'inbound esp c0a80001 198.18.0.1', attempts: 2, reason: 'no room' }],
  rekeys: { wanted: 1, asked: 6 },
  withheld: { foreign: [], braked: ['outbound esp c0a80009 198.18.0.2'] },
  setups: [{ ike: 'gw', child: 'net', reason: 'capacity', attempts: 2, nextLookMs: 500 }],
  totals: { ...SUMMARY, operations: 100, cycles: 8, initiations: 9 },
  cycles: { sums: SUMMARY, last: { ...SUMMARY, durationMs: 250 } },
  restarts: { charon: 1, dataplane: 2 },
  ...{ requests: [], latency: [] },
  audit: {
    ...{ completeListings: 5, incompleteListings: 1, lastCompleteSecondsAgo: 3 },
    findings: [{ kind: 'untold', sa: 'inbound esp c0a80002', childSa: 'net{7}', sinceSeconds: 4 }],
  },
};

function get(options: RequestOptions): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    request(options, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    })
      .on('error', reject)
      .end();
  });
}

test('shows every number of a status, and the same ones the second time', async () => {
  const metrics = new StatusMetrics(new Registry(), async () => STATUS);
  const text = await metrics.render();
  for (const line of [
    'lagopus_ipsec_info{version="1.2.3",source="plugin"} 1',
    'lagopus_ipsec_ready 1',
    'lagopus_ipsec_link_up{link="plugin"} 1',
    'lagopus_ipsec_link_up{link="vici"} 0',
    'lagopus_ipsec_sas{view="desired"} 10',
    'lagopus_ipsec_sas{view="actual"} 9',
    'lagopus_ipsec_policies{view="actual"} 19',
    'lagopus_ipsec_spi_slots_used{vrf="vrf1",direction="both"} 12',
    'lagopus_ipsec_spi_slots{vrf="vrf1",direction="both"} 127',
    'lagopus_ipsec_spi_collision_odds{vrf="vrf1",direction="both"} 0.09375',
    'lagopus_ipsec_dataplane_notes 1',
    'lagopus_ipsec_pending 7',
    'lagopus_ipsec_repairs 1',
    'lagopus_ipsec_rekeys_wanted 1',
    'lagopus_ipsec_rekeys_asked_total 6',
    'lagopus_ipsec_setups_waiting 1',
    'lagopus_ipsec_initiations_asked_total 9',
    'lagopus_ipsec_withheld{kind="braked"} 1',
    'lagopus_ipsec_withheld{kind="foreign"} 0',
    'lagopus_ipsec_operations_total 100',
    'lagopus_ipsec_results_total{result="failed"} 4',
    'lagopus_ipsec_cycles_total 8',
    'lagopus_ipsec_cycle_results_total{result="deleted"} 3',
    'lagopus_ipsec_last_cycle_results{result="unknown"} 5',
    'lagopus_ipsec_last_cycle_seconds 0.25',
    'lagopus_ipsec_restarts_total{of="dataplane"} 2',
    'lagopus_ipsec_charon_listings_total{completeness="complete"} 5',
    'lagopus_ipsec_audit_findings{kind="untold"} 1',
    'lagopus_ipsec_audit_findings{kind="unlisted"} 0',
  ]) {
    assert.ok(text.split('\n').includes(line), `${line} is not in\n${text}`);
  }
  assert.equal(await metrics.render(), text);
  assert.doesNotMatch(text, /c0a8000/);
});

test('counts and times requests by what they were answered with', async () => {
  const clock = new FakeClock();
  const registry = new Registry();
  const meter = new RequestMeter(registry, clock);
  const answers: SyncAnswer[] = [
    { kind: 'ok' },
    { kind: 'refused', code: 'capacity', reason: 'full' },
    { kind: 'try-again', code: 'unavailable', reason: 'away' },
  ];
  const handle = meter.measured(async () => {
    await clock.advance(3);
    return answers.shift() ?? assert.fail();
  });
  for (let count = 0; count < 3; count += 1) {
    await handle({ kind: 'add-sa', sa: sampleSa({ direction: 'inbound', spi: 0x1001 }) });
  }
  assert.deepEqual(await meter.requests(), [
    { kind: 'add-sa', code: 'ok', count: 1 },
    { kind: 'add-sa', code: 'capacity', count: 1 },
    { kind: 'add-sa', code: 'unavailable', count: 1 },
  ]);
  const [latency] = await meter.latency();
  assert.deepEqual([latency?.kind, latency?.count, latency?.buckets.length], ['add-sa', 3, 12]);
  const within = (leSeconds: number): number | undefined =>
    latency?.buckets.find((bucket) => bucket.leSeconds === leSeconds)?.count;
  assert.deepEqual([within(0.002), within(0.005), within(2)], [0, 3, 3]);
  assert.match(
    await registry.metrics(),
    /lagopus_ipsec_request_seconds_bucket\{le="0.005",kind="add-sa"\} 3/,
  );
});

test('serves them on a unix socket and on TCP, and nothing else', async () => {
  await using dir = new TempDir();
  const metrics = new StatusMetrics(new Registry(), async () => STATUS);
  const socketPath = dir.file('metrics.sock');
  await using _unix = await startMetricsServer(`unix://${socketPath}`, metrics, silentLogger);
  const { status, text } = await get({ socketPath, path: '/metrics' });
  assert.equal(status, 200);
  assert.match(text, /^lagopus_ipsec_ready 1$/m);
  assert.equal((await get({ socketPath, path: '/' })).status, 404);
  assert.equal((await get({ socketPath, path: '/metrics', method: 'POST' })).status, 404);
  await using tcp = await startMetricsServer('tcp://127.0.0.1:0', metrics, silentLogger);
  const { hostname, port } = new URL(`http://${tcp.address}`);
  assert.equal((await get({ hostname, port, path: '/metrics' })).status, 200);
  await assert.rejects(
    startMetricsServer(`tcp://${tcp.address}`, metrics, silentLogger),
    (error) =>
      error instanceof AgentError && error.code === 'invalid-input' && /EADDRINUSE/.test(error.message),
  );
});

test('takes addresses of either kind in the configuration, and says what it expects', () => {
  assert.deepEqual(parseMetricsAddress('unix:///run/m.sock'), { path: '/run/m.sock' });
  assert.deepEqual(parseMetricsAddress('tcp://[::1]:9464'), { host: '::1', port: 9464 });
  assert.equal(agentConfigSchema.parse({}).metrics, undefined);
  const listen = 'tcp://127.0.0.1:9464';
  assert.deepEqual(agentConfigSchema.parse({ metrics: { listen } }).metrics, { listen });
  for (const wrong of [
    '9464',
    'tcp://127.0.0.1',
    'tcp://::1:9464',
    'tcp://a:70000',
    'unix://x',
    'http://a:1',
  ]) {
    const { success, error } = agentConfigSchema.safeParse({ metrics: { listen: wrong } });
    assert.equal(success, false, wrong);
    assert.match(error?.message ?? '', /expected unix:\/\/\/path or tcp:\/\/host:port/);
  }
});
