import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  automaticPriority,
  PolicyTable,
  type PolicyUser,
  type PriorityClass,
  policyKey,
} from '../../src/sad/index.ts';
import { sampleUser, subnet } from '../support/sample-sas.ts';

const user = (spi: number | undefined, change: Partial<PolicyUser> = {}, reqid = 1) =>
  sampleUser({ direction: 'outbound', spi, reqid, change });
const key = policyKey(user(0x1001).id);

function spiInEffect(table: PolicyTable): number | undefined {
  const action = table.effective(key)?.action;
  return action?.kind === 'protect' ? action.template.spi : undefined;
}

// The numbers that charon 5.9.8 gives its own policies in Linux.
for (const [what, change, priority] of [
  ['two /24 networks', {}, 400_000 - 48 * 512 - 1],
  ['a trap', { priorityClass: 'routed' }, 400_000 - 48 * 512],
  ['a bypass', { priorityClass: 'pass' }, 200_000 - 48 * 512 - 1],
  ['a fallback', { priorityClass: 'fallback' }, 600_000 - 48 * 512 - 1],
  [
    'one TCP port of a host',
    {
      id: {
        direction: 'outbound',
        source: { ...subnet('198.19.1.1'), protocol: 6 },
        destination: {
          ...subnet('0.0.0.0', '255.255.255.255'),
          protocol: 6,
          ports: { first: 443, last: 443 },
        },
      },
    },
    400_000 - 32 * 512 - 256 - 16 * 4 - 1,
  ],
  [
    'an IPv6 /64 on an interface',
    {
      id: {
        direction: 'outbound',
        source: subnet('2001:db8::', '2001:db8::ffff:ffff:ffff:ffff'),
        destination: subnet('::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'),
        interface: 'eth0',
      },
    },
    400_000 - 64 * 512 - 2 - 1,
  ],
  [
    'a range that is no network counts as the network around it',
    {
      id: {
        direction: 'outbound',
        source: subnet('198.19.1.0', '198.19.1.129'),
        destination: { ...subnet('198.19.2.1'), ports: { first: 0, last: 255 } },
      },
    },
    400_000 - 56 * 512 - 8 * 4 - 1,
  ],
] as const satisfies readonly (readonly [string, Partial<PolicyUser>, number])[]) {
  test(`priority of ${what}`, () => {
    assert.equal(automaticPriority(user(0x1001, change)), priority);
  });
}

test('OPAQUE ports narrow nothing', () => {
  const { id } = user(0x1001);
  const opaque = { ...id, source: { ...id.source, ports: { first: 0xffff, last: 0 } } };
  assert.equal(automaticPriority(user(0x1001, { id: opaque })), automaticPriority(user(0x1001)));
});

test('the newest of equal users is in effect, and the one before it again after it left', () => {
  const table = new PolicyTable();
  for (const spi of [0x1001, 0x1002, 0x1003]) table.add(user(spi));
  assert.equal(spiInEffect(table), 0x1003);
  assert.ok(table.remove(user(0x1002)));
  assert.equal(spiInEffect(table), 0x1003);
  assert.ok(table.remove(user(0x1003)));
  assert.equal(spiInEffect(table), 0x1001);
  assert.ok(!table.remove(user(0x1003)));
  assert.ok(table.remove(user(0x1001)));
  assert.equal(table.effective(key), undefined);
  assert.equal(table.size, 0);
});

test('a user without a reqid yields to one with, however new it is', () => {
  const table = new PolicyTable();
  table.add(user(0x1001));
  table.add(user(0x1002, {}, 0));
  assert.equal(spiInEffect(table), 0x1001);
});

test('a trap yields to the tunnel it brought up', () => {
  const table = new PolicyTable();
  table.add(user(0x1001));
  table.add(user(undefined, { priorityClass: 'routed' }));
  assert.equal(spiInEffect(table), 0x1001);
  table.remove(user(0x1001));
  assert.deepEqual(table.effective(key)?.action, user(undefined).action);
});

test('a manual priority wins over an automatic one, lower first', () => {
  const table = new PolicyTable();
  table.add(user(0x1001, { manualPriority: 10 }));
  table.add(user(0x1002));
  table.add(user(0x1003, { manualPriority: 11 }));
  assert.equal(spiInEffect(table), 0x1001);
  assert.equal(table.effective(key)?.priority, 10);
});

test('forward policies are counted and never in effect', () => {
  const table = new PolicyTable();
  const forward = sampleUser({ direction: 'forward', spi: 0x1001 });
  table.add(forward);
  table.add(forward);
  assert.deepEqual([table.forwardCount, table.size, [...table.policies()].length], [1, 0, 0]);
  assert.equal(table.effective(policyKey(forward.id)), undefined);
  table.remove(forward);
  table.remove(forward);
  assert.equal(table.forwardCount, 0);
});

const arbitraryUser = fc
  .record({
    spi: fc.integer({ min: 0x1000, max: 0x1004 }),
    reqid: fc.integer({ min: 0, max: 2 }),
    priorityClass: fc.constantFrom<PriorityClass>('pass', 'default', 'routed', 'fallback'),
    manualPriority: fc.constantFrom(0, 0, 7),
  })
  .map(({ spi, reqid, priorityClass, manualPriority }) =>
    user(spi, { priorityClass, manualPriority }, reqid),
  );

test('effectiveWith foretells add, for any users in any order', () => {
  fc.assert(
    fc.property(fc.array(arbitraryUser, { maxLength: 12 }), (users) => {
      const table = new PolicyTable();
      for (const next of users) {
        const foretold = table.effectiveWith(next);
        table.add(next);
        assert.deepEqual(table.effective(key), foretold);
      }
    }),
  );
});

test('nothing is left when every user was removed, in any order', () => {
  fc.assert(
    fc.property(
      fc.array(arbitraryUser, { maxLength: 12 }).chain((users) =>
        fc.record({
          users: fc.constant(users),
          order: fc.shuffledSubarray(users, { minLength: users.length }),
        }),
      ),
      ({ users, order }) => {
        const table = new PolicyTable();
        for (const next of users) table.add(next);
        for (const next of order) assert.ok(table.remove(next));
        assert.equal(table.size, 0);
      },
    ),
  );
});
