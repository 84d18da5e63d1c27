import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askAgent, type ExplainReport, type SaExplanation } from '../../src/agent/index.ts';
import {
  type Argv,
  CommandError,
  command,
  establish,
  type GatewayPair,
  inRepository,
  Lab,
  rekeyChild,
  startGatewayPair,
} from '../support/index.ts';

const AGENT = inRepository('bin', 'ipsec-agent');

/** Runs `ipsec-agent VERB ...` against our agent; what it prints, and how it ended. */
async function run(
  { gateway }: GatewayPair,
  ...args: readonly string[]
): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> {
  const argv: Argv = [AGENT, ...args, '--socket', gateway.agent.controlSocket];
  try {
    const { stdout, stderr } = await command(argv);
    return { status: 0, stdout, stderr };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const { status, stdout, message } = error;
    return { status: status ?? -1, stdout, stderr: message.split('\n').slice(1).join('\n').trim() };
  }
}

async function explained({ gateway }: GatewayPair, spi: number): Promise<ExplainReport> {
  return await askAgent(gateway.agent.controlSocket, 'explain', {
    signal: AbortSignal.timeout(5_000),
    argument: spi.toString(16),
  });
}

async function oneSa(pair: GatewayPair, spi: number): Promise<SaExplanation> {
  const { sas, unasked } = await explained(pair, spi);
  assert.deepEqual(unasked, []);
  const [sa, ...others] = sas;
  assert.ok(sa !== undefined && others.length === 0);
  return sa;
}

function whats({ story }: SaExplanation): readonly string[] {
  return story.map(({ what }) => what);
}

test("an SA's story, from a real charon and a real dataplane", async (t) => {
  await using lab = await Lab.create();
  const pair = await startGatewayPair(lab);
  await establish(pair);
  const [first] = await pair.ours.swanctl.childSas();
  assert.ok(first !== undefined);

  await t.test('who has it, in either direction', async () => {
    const inbound = await oneSa(pair, first.spiIn);
    assert.deepEqual(
      [inbound.direction, inbound.destination, inbound.charon?.childSa, inbound.charon?.state],
      ['inbound', '198.18.0.1', 'net{1}', 'INSTALLED'],
    );
    assert.deepEqual([inbound.desired?.source, inbound.dataplane?.source], ['198.18.0.2', '198.18.0.2']);
    assert.deepEqual(whats(inbound), ['installed']);
    const outbound = await oneSa(pair, first.spiOut);
    assert.deepEqual([outbound.direction, outbound.destination], ['outbound', '198.18.0.2']);
    assert.equal(outbound.charon?.childSa, 'net{1}');
  });

  await t.test('on the command line, with 0x and without', async () => {
    const hex = first.spiIn.toString(16);
    const { status, stdout, stderr } = await run(pair, 'explain', `0x${hex}`);
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, new RegExp(`^inbound esp ${hex} to 198\\.18\\.0\\.1$`, 'm'));
    assert.match(stdout, /^ {2}charon +net\{1\} of gw\[1\], INSTALLED, for \d+ s, AES_GCM_16-128$/m);
    assert.match(stdout, /^ {2}plugin +198\.18\.0\.2 > 198\.18\.0\.1.*, AES_GCM_16-128, reqid 1$/m);
    assert.match(stdout, /^ {2}dataplane +198\.18\.0\.2 > 198\.18\.0\.1.* \d+ packets/m);
    assert.match(stdout, /^ {2}story +20\d\d-\S+Z {2}\d+ s ago {2}installed$/m);
    assert.match(stdout, /^ {2}next +\S/m);
    const json = await run(pair, 'explain', hex, '--json');
    assert.equal(JSON.parse(json.stdout).sas[0].charon.childSa, 'net{1}');
  });

  await t.test('an SPI nobody knows, one that looks like another, and what is no SPI', async () => {
    const unknown = await run(pair, 'explain', '12345');
    assert.deepEqual(
      [unknown.status, unknown.stdout, unknown.stderr],
      [1, '', 'ipsec-agent: nobody knows an SA with SPI 00012345'],
    );
    const hex = first.spiOut.toString(16).padStart(8, '0');
    const near = await run(pair, 'explain', `${hex.slice(0, 7)}${hex.endsWith('0') ? '1' : '0'}`);
    assert.equal(near.status, 1);
    assert.match(near.stderr, new RegExp(`; there is .*\\b${hex}\\b`));
    const wrong = await run(pair, 'explain', 'xyz');
    assert.equal(wrong.status, 2);
    assert.match(wrong.stderr, /"xyz" is no SPI: expected up to 8 hex digits/);
  });

  await t.test('after a rekey: the old one is gone and remembered', async () => {
    await rekeyChild(pair.ours, pair.peer);
    const old = await oneSa(pair, first.spiOut);
    assert.deepEqual([old.desired, old.dataplane], [null, null]);
    assert.deepEqual(whats(old), ['installed', 'deleted']);
    assert.equal(old.story[1]?.detail, 'by a request');
  });

  await t.test('after the dataplane lost everything: missing, and a rekey of charon', async () => {
    const [before] = (await pair.ours.swanctl.childSas()).filter(({ state }) => state === 'INSTALLED');
    assert.ok(before !== undefined);
    await pair.gateway.killDataplane();
    const without = await explained(pair, before.spiOut);
    assert.match(without.unasked.join('\n'), /^the dataplane: /m);
    assert.equal(without.sas[0]?.charon?.state, 'INSTALLED');
    assert.match(without.sas[0]?.next.join('\n') ?? '', /the next comparison decides/);
    await pair.gateway.restartDataplane();
    const lost = await oneSa(pair, before.spiOut);
    const asked = lost.story.find(({ what }) => what === 'charon was asked to rekey');
    assert.match(asked?.detail ?? '', /^net\{\d+\}$/);
    assert.ok(whats(lost).includes('missing in the dataplane'));
  });

  await t.test('diff --plan with nothing to do is as silent as diff', async () => {
    assert.deepEqual(await run(pair, 'diff', '--plan'), { status: 0, stdout: '', stderr: '' });
  });
});

test('a running agent tells its numbers, in JSON and to Prometheus', async () => {
  await using lab = await Lab.create();
  const pair = await startGatewayPair(lab, {
    agentOverrides: { metrics: { listen: 'tcp://127.0.0.1:9464' }, auditIntervalMs: 1_000 },
  });
  await establish(pair);
  const { stdout: text } = await pair.ours.site.namespace.run([
    process.execPath,
    '-e',
    "fetch('http://127.0.0.1:9464/metrics').then((r) => r.text()).then((t) => process.stdout.write(t))",
  ]);
  const status = JSON.parse((await run(pair, 'status', '--json')).stdout);
  assert.match(text, /^lagopus_ipsec_sas\{view="desired"\} 2$/m);
  assert.match(text, /^lagopus_ipsec_link_up\{link="plugin"\} 1$/m);
  assert.match(text, /^lagopus_ipsec_requests_total\{kind="add-sa",code="ok"\} 2$/m);
  assert.match(text, /^lagopus_ipsec_request_seconds_count\{kind="add-sa"\} 2$/m);
  assert.match(text, /^lagopus_ipsec_results_total\{result="added"\} 2$/m);
  assert.deepEqual(
    status.requests.find(({ kind }: { kind: string }) => kind === 'add-sa'),
    { kind: 'add-sa', code: 'ok', count: 2 },
  );
  const [{ spiIn, spiOut } = { spiIn: 0, spiOut: 0 }] = await pair.ours.swanctl.childSas();
  for (const spi of [spiIn, spiOut])
    assert.ok(!text.includes(spi.toString(16)) && !text.includes(String(spi)));
});
