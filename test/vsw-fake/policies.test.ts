import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleSa, sampleSp } from '../support/fake-lagopus/router-samples.ts';
import { type Selector, SpManager } from '../support/fake-lagopus/sp-manager.ts';
import { Router } from './harness.ts';

const OUT = { source: '198.19.1.9', destination: '198.19.2.9' };
const ANY = { source: '0.0.0.0', sourcePrefix: 0, sourcePort: 0, destinationPrefix: 32, destinationPort: 0 };

function selectorOf(destination: string, protocol: number): Selector {
  return { ...ANY, destination, protocol };
}

test('a policy for any protocol has 255; 0 is a protocol that no packet is of', async () => {
  await using router = await Router.start();
  await router.operate([...sampleSa({ spi: 5 }), ...sampleSp({ name: 'any', spi: 5 })]);
  const { policies, forwarding } = router.vsw.vrf('vrf1');
  assert.deepEqual(
    policies.list().map(({ selector }) => selector.protocol),
    [255],
  );
  assert.equal(forwarding.send(OUT).kind, 'esp');
  forwarding.pushPolicies(
    policies.list().map((sp) => ({ ...sp, selector: { ...sp.selector, protocol: 0 } })),
  );
  assert.deepEqual(forwarding.send(OUT), { kind: 'dropped', reason: 'no policy' });
});

test('priorities above 0x1fffffff are the same one to the cores', async () => {
  await using router = await Router.start();
  await router.operate([
    ...sampleSa({ spi: 5 }),
    ...sampleSa({ spi: 6 }),
    ...sampleSp({ name: 'first', spi: 5, priority: 0x7fffffff - 100 }),
    'set network-instances network-instance vrf1 security ipsec spd spd-entries first config source-address prefix-length 16',
    ...sampleSp({ name: 'second', spi: 6, priority: 0x7fffffff - 1 }),
  ]);
  const { policies, forwarding } = router.vsw.vrf('vrf1');
  const sentBy = (order: 'as listed' | 'reversed'): number => {
    forwarding.pushPolicies(order === 'reversed' ? [...policies.list()].reverse() : policies.list());
    const sent = forwarding.send(OUT);
    return sent.kind === 'esp' ? sent.packet.spi : 0;
  };
  assert.notEqual(sentBy('as listed'), sentBy('reversed'), 'who wins is left to the order of a map');
});

test('the cores have 1024 rules a direction, one of them vsw’s own: one too many changes nothing any more', () => {
  const manager = new SpManager();
  const add = (at: number) =>
    manager.add('outbound', selectorOf(`198.19.${at >> 8}.${at & 255}`, 255), {
      ...{ policy: 'protect', priority: 1, spi: 5 },
    });
  for (let at = 0; at < 1023; at += 1) add(at);
  assert.equal(manager.push()?.length, 1023);
  add(1023);
  assert.equal(manager.push(), undefined);
  manager.add('inbound', selectorOf('198.19.9.9', 255), { policy: 'bypass', priority: 1, spi: 5 });
  assert.equal(manager.push(), undefined);
});

test('a policy that only discards names an SA nobody has, and is in force without one', async () => {
  await using router = await Router.start();
  await router.operate(sampleSp({ name: 'none', spi: 1, policy: 'discard' }));
  assert.deepEqual(router.vsw.vrf('vrf1').forwarding.send(OUT), { kind: 'dropped', reason: 'discard' });
});
