import assert from 'node:assert/strict';
import { test } from 'node:test';
import { homedRouterConfig, sampleKey, sampleSa, sampleSp } from '../support/fake-lagopus/router-samples.ts';
import { SaState } from '../support/fake-lagopus/sa.ts';
import { Router } from './harness.ts';

const OUT = { source: '198.19.1.9', destination: '198.19.2.9' };
const TUNNEL = 'interfaces interface tif0';
const OPEN = `set ${TUNNEL} config enabled true`;
const SHUT = `set ${TUNNEL} config enabled false`;

const CLOSED = homedRouterConfig('vrf1').filter((line) => line !== OPEN);
const ENTRIES = [...sampleSa({ spi: 5 }), ...sampleSp({ name: 'out', spi: 5 })];

function stateOf(router: Router): number | undefined {
  return router.vsw.sas().find((sa) => sa.spi === 5)?.state;
}

test('an interface whose subinterface alone is enabled passes nothing, either way', async () => {
  await using router = await Router.start({ config: CLOSED });
  await router.operate(ENTRIES);
  const { forwarding } = router.vsw.vrf('vrf1');
  assert.deepEqual(forwarding.send(OUT), { kind: 'dropped', reason: 'closed' });
  const inner = { source: OUT.destination, destination: OUT.source };
  const packet = { spi: 5, sequence: 1, source: '198.18.0.1', destination: '198.18.0.2', key: sampleKey(5) };
  assert.deepEqual(forwarding.receive({ ...packet, inner }), { kind: 'dropped', reason: 'closed' });
});

test('PF_KEY and the SAD are there before a tunnel is open, but nothing ticks: no SA matures', async () => {
  await using router = await Router.start({ config: CLOSED });
  await router.operate(ENTRIES, { ticks: 3 });
  assert.equal(stateOf(router), SaState.LARVAL);
  await router.operate([OPEN], { ticks: 0 });
  assert.equal(stateOf(router), SaState.LARVAL);
  router.vsw.tick();
  assert.equal(stateOf(router), SaState.MATURE);
});

test('the line that enables it may come alone and last', async () => {
  await using router = await Router.start({ config: CLOSED });
  await router.operate(ENTRIES);
  await router.operate([OPEN]);
  assert.equal(router.vsw.vrf('vrf1').forwarding.send(OUT).kind, 'esp');
});

test('enabled false and true again on a live tunnel crashes nothing, and goes on with its sequence numbers', async () => {
  await using router = await Router.start();
  await router.operate(ENTRIES);
  const { forwarding } = router.vsw.vrf('vrf1');
  const sequence = (): number => {
    const sent = forwarding.send(OUT);
    return sent.kind === 'esp' ? sent.packet.sequence : 0;
  };
  assert.equal(sequence(), 1);
  await router.operate([SHUT]);
  assert.equal(sequence(), 0);
  await router.operate([OPEN]);
  assert.equal(sequence(), 2);
  assert.equal(router.vsw.crash, undefined);
});

test('a deletion of the leaf `enabled` is nothing to vsw', async () => {
  await using router = await Router.start();
  await router.operate([`delete ${TUNNEL} config enabled true`]);
  assert.equal(router.vsw.vrf('vrf1').forwarding.isOpen, true);
});

test('a tunnel that names a VRF of the same start is enabled with the commit after the VRF’s', async () => {
  await using router = await Router.start({ config: homedRouterConfig('vrf1') });
  assert.equal(router.vsw.vrf('vrf1').forwarding.isOpen, false);
  await router.operate(['set interfaces interface if0 config mtu 1400']);
  assert.equal(router.vsw.vrf('vrf1').forwarding.isOpen, true);
});
