import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type ActualPolicy,
  type ActualSa,
  diffPolicies,
  diffSas,
  type FingerprintOf,
  moveSa,
  type Operation,
  type PolicyKey,
  plan,
  policyKey,
  repairOf,
  type SaKey,
  type SecurityAssociation,
  type SecurityPolicy,
  saKey,
  toReqId,
} from '../../src/sad/index.ts';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';

const fingerprintOf: FingerprintOf = (sa) => String(sa.encryption?.key.reveal((bytes) => bytes[0]));

/** A dataplane as a table: holds whole SAs and gives their fingerprints. */
class Table {
  readonly sas = new Map<SaKey, SecurityAssociation>();
  readonly policies = new Map<PolicyKey, SecurityPolicy>();

  constructor(sas: readonly SecurityAssociation[], policies: readonly SecurityPolicy[]) {
    for (const sa of sas) this.sas.set(saKey(sa.id), sa);
    for (const policy of policies) this.policies.set(policyKey(policy.id), policy);
  }

  listSas(): ActualSa[] {
    return [...this.sas.values()].map((sa) => ({
      sa: { ...sa, encryption: sa.encryption?.id, integrity: sa.integrity?.id },
      usage: {
        id: sa.id,
        counters: {
          bytes: 0n,
          packets: 0n,
          idleMs: undefined,
          replayDrops: 0n,
          integrityFailures: 0n,
          selectorDrops: 0n,
          malformedDrops: 0n,
        },
        nextSequence: 1n,
        replayState: undefined,
      },
      keyFingerprint: fingerprintOf(sa),
      charonInstanceId: '',
      ageMs: 0n,
    }));
  }

  listPolicies(): ActualPolicy[] {
    return [...this.policies.values()].map((policy) => ({
      policy,
      charonInstanceId: '',
      packets: 0n,
      bytes: 0n,
      idleMs: undefined,
      ageMs: undefined,
    }));
  }

  /** Fails where a dataplane would: an SPI that is taken, an SA that is not there. */
  apply(operation: Operation): void {
    switch (operation.kind) {
      case 'add-sa': {
        const key = saKey(operation.sa.id);
        assert.ok(!this.sas.has(key), `${key} is taken`);
        this.sas.set(key, operation.sa);
        break;
      }
      case 'update-sa': {
        const sa = this.sas.get(saKey(operation.id));
        assert.ok(sa !== undefined);
        this.sas.delete(saKey(operation.id));
        const moved = moveSa(sa, operation.move);
        this.sas.set(saKey(moved.id), moved);
        break;
      }
      case 'delete-sa':
        assert.ok(this.sas.delete(saKey(operation.id)));
        break;
      case 'put-policy':
        this.policies.set(policyKey(operation.policy.id), operation.policy);
        break;
      case 'delete-policy':
        assert.ok(this.policies.delete(policyKey(operation.id)));
        break;
      default:
        assert.fail(operation.kind);
    }
  }

  diff(desired: Table) {
    return {
      sas: diffSas({ desired: desired.sas, actual: this.listSas(), fingerprintOf }),
      policies: diffPolicies({ desired: desired.policies, actual: this.listPolicies() }),
    };
  }
}

const arbitrarySa = fc
  .record({
    direction: fc.constantFrom('inbound' as const, 'outbound' as const),
    spi: fc.integer({ min: 0x1000, max: 0x1005 }),
    keyByte: fc.integer({ min: 1, max: 2 }),
    destination: fc.constantFrom('198.18.0.1', '198.18.0.2'),
    reqid: fc.integer({ min: 1, max: 2 }),
    esn: fc.boolean(),
    innerVrf: fc.constantFrom(undefined, 'blue'),
    ifId: fc.constantFrom(undefined, 5),
  })
  .map(({ direction, spi, keyByte, destination, reqid, esn, innerVrf, ifId }) => {
    const sa = sampleSa({ direction, spi, keyByte, change: { reqid: toReqId(reqid), esn, innerVrf } });
    return { ...sa, id: { ...sa.id, destination, ifId } };
  });

const arbitraryPolicy = fc
  .record({
    direction: fc.constantFrom('inbound' as const, 'outbound' as const),
    interface: fc.constantFrom(undefined, 'eth0'),
    innerVrf: fc.constantFrom(undefined, 'blue'),
    kind: fc.constantFrom('protect' as const, 'bypass' as const, 'discard' as const),
    spi: fc.integer({ min: 0x1000, max: 0x1002 }),
    priority: fc.integer({ min: 1, max: 2 }),
  })
  .map(({ direction, interface: name, innerVrf, kind, spi, priority }): SecurityPolicy => {
    const { id, action } = sampleUser({ direction, spi });
    return {
      id: { ...id, interface: name, innerVrf },
      action: kind === 'protect' ? action : { kind },
      priority,
    };
  });

const arbitraryTable = fc
  .record({
    sas: fc.array(arbitrarySa, { maxLength: 8 }),
    policies: fc.array(arbitraryPolicy, { maxLength: 6 }),
  })
  .map(({ sas, policies }) => new Table(sas, policies));

const addAll = () => ({ kind: 'add', replayState: undefined }) as const;

for (const order of ['make-before-break', 'policies-first'] as const) {
  test(`applying the plan of a difference gives what is desired, and then nothing differs (${order})`, () => {
    fc.assert(
      fc.property(arbitraryTable, arbitraryTable, (actual, desired) => {
        const before = actual.diff(desired);
        const { changes, rekey } = repairOf(before.sas, before.policies, addAll);
        assert.deepEqual(rekey, []);
        for (const operation of plan(changes, order)) actual.apply(operation);
        const after = actual.diff(desired);
        for (const set of [...Object.values(after.sas), ...Object.values(after.policies)]) {
          assert.equal(set.size, 0);
        }
        assert.deepEqual(plan(repairOf(after.sas, after.policies, addAll).changes, order), []);
      }),
    );
  });
}

test('nothing differs from itself', () => {
  fc.assert(
    fc.property(arbitraryTable, (table) => {
      const { sas, policies } = table.diff(table);
      for (const set of [...Object.values(sas), ...Object.values(policies)]) assert.equal(set.size, 0);
    }),
  );
});

test('what only a rekey brings back is never added, whatever else differs (invariant 4)', () => {
  fc.assert(
    fc.property(arbitraryTable, arbitraryTable, (actual, desired) => {
      const { sas, policies } = actual.diff(desired);
      const { changes, rekey } = repairOf(sas, policies, () => ({ kind: 'rekey' }));
      const operations = plan(changes, 'make-before-break');
      assert.ok(operations.every(({ kind }) => kind !== 'add-sa'));
      assert.equal(rekey.length, sas.missing.size + sas.different.size);
    }),
  );
});

/** Where an operation stands in make before break (invariant 3). */
function stage(operation: Operation): number {
  const direction =
    operation.kind === 'add-sa'
      ? operation.sa.id.direction
      : operation.kind === 'update-sa' || operation.kind === 'delete-sa'
        ? operation.id.direction
        : undefined;
  const isInbound = direction === 'inbound';
  switch (operation.kind) {
    case 'add-sa':
    case 'update-sa':
      return isInbound ? 0 : 1;
    case 'put-policy':
      return 2;
    case 'delete-policy':
      return 3;
    default:
      return isInbound ? 5 : 4;
  }
}

test('makes before it breaks: in, out, policies, old out, old in (3)', () => {
  fc.assert(
    fc.property(arbitraryTable, arbitraryTable, (actual, desired) => {
      const { sas, policies } = actual.diff(desired);
      const { changes } = repairOf({ ...sas, different: new Map() }, policies, addAll);
      const stages = plan(changes, 'make-before-break').map(stage);
      assert.deepEqual(
        stages,
        stages.toSorted((a, b) => a - b),
      );
    }),
  );
});

test('after a boot protect and discard policies come before every SA, bypass after them (3)', () => {
  fc.assert(
    fc.property(arbitraryTable, (desired) => {
      const { sas, policies } = new Table([], []).diff(desired);
      const kinds = plan(repairOf(sas, policies, addAll).changes, 'policies-first').map((operation) => {
        if (operation.kind !== 'put-policy') return 1;
        return operation.policy.action.kind === 'bypass' ? 2 : 0;
      });
      assert.deepEqual(
        kinds,
        kinds.toSorted((a, b) => a - b),
      );
    }),
  );
});

test('an entry that is ignored is in no difference', () => {
  fc.assert(
    fc.property(arbitraryTable, arbitraryTable, (actual, desired) => {
      const ignored = new Set<string>([
        ...desired.sas.keys(),
        ...actual.sas.keys(),
        ...desired.policies.keys(),
      ]);
      const sas = diffSas({ desired: desired.sas, actual: actual.listSas(), fingerprintOf, ignored });
      assert.ok(Object.values(sas).every((set) => set.size === 0));
      const policies = diffPolicies({ desired: desired.policies, actual: actual.listPolicies(), ignored });
      assert.equal(policies.missing.size + policies.different.size, 0);
    }),
  );
});

test('a missing fingerprint counts as another key', () => {
  const sa = sampleSa({ direction: 'inbound', spi: 0x1000 });
  const desired = new Table([sa], []);
  const actual = desired.listSas().map((listed) => ({ ...listed, keyFingerprint: undefined }));
  const { different } = diffSas({ desired: desired.sas, actual, fingerprintOf });
  assert.deepEqual(different.get(saKey(sa.id))?.fields, ['key']);
});
