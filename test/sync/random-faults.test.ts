import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { ResultCode } from '../../src/proto/index.ts';
import {
  PolicyTable,
  type PolicyUser,
  policyDifferences,
  type SaKey,
  type SecurityAssociation,
  saKey,
} from '../../src/sad/index.ts';
import type { SyncAnswer } from '../../src/sync/index.ts';
import { eventually } from '../support/eventually.ts';
import type { Failure, OperationKind } from '../support/fake-dataplane.ts';
import { sampleSa, sampleUser } from '../support/sample-sas.ts';
import { INSTANCE, SyncLab, type TestAgent } from '../support/sync-lab.ts';
import { tries } from '../support/tries.ts';

type Step =
  | { readonly kind: 'add-sa'; readonly spi: number; readonly keyByte: number }
  | { readonly kind: 'delete-sa'; readonly spi: number }
  | { readonly kind: 'add-policy' | 'delete-policy'; readonly spi: number }
  | { readonly kind: 'fail'; readonly operation: OperationKind; readonly failure: Failure }
  | { readonly kind: 'release' | 'stop-dataplane' | 'boot-dataplane' | 'snapshot' | 'audit' | 'settle' };

const spi = fc.integer({ min: 0x1000, max: 0x1005 });
const operation = fc.constantFrom<OperationKind>('addSa', 'deleteSa', 'putPolicy', 'deletePolicy');
const failure = fc.constantFrom<Failure>(
  { kind: 'refuse', code: ResultCode.RESULT_CODE_TEMPORARY, message: '' },
  { kind: 'refuse', code: ResultCode.RESULT_CODE_INVALID, message: '' },
  { kind: 'cut', isApplied: true },
  { kind: 'cut', isApplied: false },
  { kind: 'hang' },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('add-sa'), spi, keyByte: fc.integer({ min: 1, max: 2 }) }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('delete-sa'), spi }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('add-policy', 'delete-policy'), spi }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('fail'), operation, failure }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('release', 'stop-dataplane', 'boot-dataplane', 'snapshot', 'audit', 'settle'),
    }),
  },
);

/** charon's own tables, as its plugin keeps them: what was answered with ok, and not deleted since. */
class Charon {
  readonly sas = new Map<SaKey, () => SecurityAssociation>();
  users: PolicyUser[] = [];
  #pending: Promise<void>[] = [];

  run(next: Step, agent: TestAgent): void {
    const { engine } = agent;
    switch (next.kind) {
      case 'add-sa': {
        const make = (): SecurityAssociation =>
          sampleSa({
            direction: next.spi % 2 === 0 ? 'inbound' : 'outbound',
            spi: next.spi,
            keyByte: next.keyByte,
          });
        const sa = make();
        const key = saKey(sa.id);
        // charon never adds an SA it has, nor one whose answer it waits for.
        if (this.sas.has(key)) return;
        this.sas.set(key, make);
        this.#follow(
          engine.handle({ kind: 'add-sa', sa }),
          () => this.sas.get(key) === make && this.sas.delete(key),
        );
        return;
      }
      case 'delete-sa': {
        const { id } = sampleSa({ direction: next.spi % 2 === 0 ? 'inbound' : 'outbound', spi: next.spi });
        this.sas.delete(saKey(id));
        engine.change({ kind: 'delete-sa', id });
        return;
      }
      case 'add-policy': {
        const user = sampleUser({ direction: 'outbound', spi: next.spi });
        this.users.push(user);
        this.#follow(engine.handle({ kind: 'add-policy', user }), () => {
          this.users = this.users.filter((other) => other !== user);
        });
        return;
      }
      case 'delete-policy': {
        const last = this.users.at(-1);
        if (last === undefined) return;
        this.users = this.users.slice(0, -1);
        engine.change({ kind: 'delete-policy', user: last });
        return;
      }
      case 'snapshot':
        engine.replaceDesired(this.snapshot(), INSTANCE);
        return;
      default:
        return;
    }
  }

  snapshot() {
    return { sas: [...this.sas.values()].map((make) => make()), policyUsers: this.users };
  }

  async answered(): Promise<void> {
    await Promise.all(this.#pending);
  }

  #follow(answer: Promise<SyncAnswer>, onFailed: () => void): void {
    this.#pending.push(
      answer.then(({ kind }) => {
        if (kind !== 'ok') onFailed();
      }),
    );
  }
}

/** Whatever hangs, a run ends: a request without an answer is a failure like others. */
const RUN_LIMIT_MS = 20_000;

async function runBounded(steps: readonly Step[]): Promise<void> {
  await using lab = await SyncLab.start();
  const end = new AbortController();
  const limit = sleep(RUN_LIMIT_MS, undefined, { signal: end.signal }).then(
    () => Promise.reject(new Error(`not over within ${RUN_LIMIT_MS} ms`)),
    () => undefined,
  );
  try {
    await Promise.race([run(lab, steps), limit]);
  } finally {
    end.abort();
  }
}

async function run(lab: SyncLab, steps: readonly Step[]): Promise<void> {
  const agent = await lab.agent({ applyDeadlineMs: 20 });
  const charon = new Charon();
  await agent.ready();
  for (const next of steps) {
    if (next.kind === 'fail') lab.dataplane.failNext(next.operation, next.failure);
    else if (next.kind === 'release') lab.dataplane.release();
    else if (next.kind === 'stop-dataplane') lab.dataplane.stop();
    else if (next.kind === 'boot-dataplane') await lab.dataplane.restart();
    else if (next.kind === 'audit') void agent.engine.audit().catch(() => undefined);
    else if (next.kind === 'settle') await charon.answered();
    // The plugin knows an answer only once it has it.
    else if (next.kind === 'snapshot' || next.kind === 'delete-policy' || next.kind === 'add-policy') {
      await charon.answered();
      charon.run(next, agent);
    } else charon.run(next, agent);
  }
  await charon.answered();
  lab.dataplane.forgetFailures();
  if (!lab.dataplane.isRunning) await lab.dataplane.start();
  // The loss of a connection may be noticed only now, and back-offs have to end.
  await eventually('the last comparison', async () => {
    await agent.until('the engine is ready', () => agent.engine.readiness.kind === 'ready', 60_000);
    await agent.idle();
    await agent.engine.audit();
    return agent.engine.status().repairs.length === 0;
  });

  // What charon was told exists is what is desired.
  const table = new PolicyTable();
  for (const user of charon.users) table.add(user);
  const { sas, policies } = agent.engine.desired();
  assert.deepEqual(sas.map(({ id }) => saKey(id)).toSorted(), [...charon.sas.keys()].toSorted());
  assert.deepEqual(policies.length, table.size);
  for (const [index, [, policy]] of [...table.policies()].entries()) {
    const held = policies[index];
    assert.ok(held !== undefined);
    assert.deepEqual(policyDifferences(policy, held), []);
  }
  // The dataplane holds that, but for what only a rekey brings back.
  const rekeys = new Set<string>(agent.engine.status().rekeys);
  const left = (await agent.differences()).filter(({ key }) => !rekeys.has(key));
  assert.deepEqual(left, []);
  assert.deepEqual(agent.engine.status().repairs, []);
}

// The same over real sockets and with real timers, which the model in test/sync/model does without. A
// failure is printed with its seed and not made smaller: each try would wait for what does not come.
test('whatever fails, the dataplane ends up with what charon was told exists', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), runBounded), {
    ...tries(40),
    endOnFailure: true,
    interruptAfterTimeLimit: 60_000,
  });
});
