import { inspect } from 'node:util';
import { toPolicyUser, toSecurityAssociation } from '../../src/agent/feed-to-sad.ts';
import { LagopusDataplane } from '../../src/lagopus/index.ts';
import { type Operation, PolicyTable } from '../../src/sad/index.ts';
import type { FakePlugin } from './fake-plugin.ts';

const BATCH = 1_000;
const DEADLINE_MS = 60_000;
/** No VRF rules. */
const unruled = (): undefined => undefined;

/** Installs everything a charon has, as an earlier agent did. */
export async function fillDataplane(target: string, plugin: FakePlugin, ownerId = 'charon'): Promise<void> {
  const { sas, policies } = plugin.tables();
  const table = new PolicyTable();
  for (const policy of policies) table.add(toPolicyUser(policy, unruled));
  const operations: Operation[] = sas.map((sa) => ({
    kind: 'add-sa',
    sa: toSecurityAssociation(sa, unruled),
  }));
  for (const [, policy] of table.policies()) operations.push({ kind: 'put-policy', policy });

  await using dataplane = await LagopusDataplane.open({ target, ownerId });
  await dataplane.acquireWriter();
  for (let from = 0; from < operations.length; from += BATCH) {
    const outcome = await dataplane.apply(operations.slice(from, from + BATCH), {
      deadlineMs: DEADLINE_MS,
      charonInstanceId: plugin.hello.instance,
    });
    const isDone = outcome.kind === 'done' && outcome.results.every(({ kind }) => kind === 'ok');
    if (!isDone) throw new Error(`the dataplane does not take them: ${inspect(outcome).slice(0, 500)}`);
  }
}
