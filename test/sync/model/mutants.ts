/** One mistake: `find`, which is in the file once, becomes `replace`. */
export type Mutant = {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
};

/** Mistakes somebody could make, each of which loses, leaks or reuses something. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'deletes come first in a plan',
    file: 'src/sad/plan.ts',
    find: "return [...puts, ...deletePolicies, ...remove('outbound'), ...remove('inbound')];",
    replace: "return [...remove('inbound'), ...remove('outbound'), ...puts, ...deletePolicies];",
  },
  {
    name: 'old inbound SAs are deleted before old outbound ones',
    file: 'src/sad/plan.ts',
    find: "...remove('outbound'), ...remove('inbound')];",
    replace: "...remove('inbound'), ...remove('outbound')];",
  },
  {
    name: 'the policy switches before its SAs are there',
    file: 'src/sad/plan.ts',
    find: '[...sas, ...secure, ...bypass];',
    replace: '[...secure, ...bypass, ...sas];',
  },
  {
    name: 'after a boot of the dataplane policies come as ever',
    file: 'src/sad/plan.ts',
    find: "order === 'policies-first' ?",
    replace: "'policies-first'.length === 0 ?",
  },
  {
    name: 'no answer is taken for a yes',
    file: 'src/sync/pipeline.ts',
    find: 'if (isReadable) this.#unknown.push({ operation, item });',
    replace: `if (isReadable) {
      accept(item.work, this.#options.desired);
      this.#answer(item, { kind: 'ok' });
    }`,
  },
  {
    name: 'a listing is not asked whether an add without an answer is in effect',
    file: 'src/sync/read-back.ts',
    find: "case 'add-sa':\n        return isListed(operation.sa);",
    replace: "case 'add-sa':\n        return true;",
  },
  {
    name: 'no new epoch after an ambiguous answer',
    file: 'src/sync/sync-engine.ts',
    find: "    this.#step({ kind: 'ambiguous' });\n    // The connection",
    replace: `    if (this.#link.kind === 'up') {
      this.#openPipeline(this.#link.capabilities);
      this.#comparisons.want();
    }
    // The connection`,
  },
  {
    name: 'an SA is called by its SPI alone',
    file: 'src/sad/security-association.ts',
    find: `\${formatSpi(id.spi)} \${id.destination}`,
    replace: `\${formatSpi(id.spi)}`,
  },
  {
    name: 'the user of a policy is found by its reqid',
    file: 'src/sad/policy-table.ts',
    find: 'isSameAction(a.user.action, b.user.action)',
    replace: 'hasReqid(a) === hasReqid(b)',
  },
  {
    name: 'of equal users the oldest is in effect',
    file: 'src/sad/policy-table.ts',
    find: 'return hasReqid(added) || !hasReqid(present);',
    replace: 'return false;',
  },
  {
    name: 'a deleted user gives way to itself',
    file: 'src/sync/work.ts',
    find: "if (after !== undefined) return operationFor({ kind: 'put-policy', policy: after });",
    replace: "if (after !== undefined) return operationFor({ kind: 'put-policy', policy: before ?? after });",
  },
  {
    name: 'compares before the first snapshot',
    file: 'src/sync/link-state.ts',
    find: "kind: hasSnapshot(link) ? 'acquiring' : 'no-snapshot'",
    replace: "kind: 'acquiring'",
  },
  {
    name: 'a listing that failed is an empty one',
    file: 'src/sync/comparison.ts',
    find: 'dataplane.listSas(nonce, { signal }),',
    replace: `dataplane
      .listSas(nonce, { signal })
      .catch(async () => ({ ...(await dataplane.listPolicies({ signal })), sas: [] })),`,
  },
  {
    name: 'a lost outbound SA is installed again',
    file: 'src/sync/last-known-usage.ts',
    find: "if (sa.id.direction === 'outbound') return { kind: 'rekey' };",
    replace: "if (sa.id.direction === 'outbound') return { kind: 'add', replayState: undefined };",
  },
  {
    name: 'a lost inbound SA is installed without its replay state',
    file: 'src/sync/last-known-usage.ts',
    find: "return { kind: 'add', replayState };",
    replace: "return { kind: 'add', replayState: undefined };",
  },
  {
    name: 'a refused add stays desired',
    file: 'src/sync/work.ts',
    find: "if (work.kind === 'add-sa') desired.discard(work.sa);\n    return { ...result",
    replace: "if (work.kind === 'add-sa') desired.setSa(work.sa);\n    return { ...result",
  },
  {
    name: 'one bad entry makes all others wait',
    file: 'src/sync/back-off.ts',
    find: 'return entry !== undefined && entry.notBeforeMs > nowMs;',
    replace: 'return [entry, ...this.#entries.values()].some((any) => any && any.notBeforeMs > nowMs);',
  },
  {
    name: 'a plan does not leave out what requests touch',
    file: 'src/sync/plan-run.ts',
    find: 'if (!operationKeys(operation).some((key) => this.#touched.has(key))) taken.push(operation);',
    replace: 'taken.push(operation);',
  },
  {
    name: "a new snapshot does not void an older one's requests",
    file: 'src/sync/pipeline.ts',
    find: "if (batch.generation !== this.#generation) this.#giveUp(item, 'charon sent a new snapshot');\n    else",
    replace: '',
  },
  {
    name: 'requests wait for repairs',
    file: 'src/sync/pipeline.ts',
    find: 'this.#cutRequests(this.#open.maxBatch) ?? this.#cutPlan(this.#open.maxBatch)',
    replace: 'this.#cutPlan(this.#open.maxBatch) ?? this.#cutRequests(this.#open.maxBatch)',
  },
  {
    name: 'what follows a request without an operation is left waiting',
    file: 'src/sync/pipeline.ts',
    find: 'this.#overtakeUnknown(keys);\n',
    replace: 'this.#overtakeUnknown(keys);\n      for (const key of keys) batchKeys.add(key);\n',
  },
  {
    name: 'keys of an SA that left are kept',
    file: 'src/sync/desired-state.ts',
    find: 'this.#toWipe.push(...keysOf(sa));',
    replace: 'keysOf(sa);',
  },
  {
    name: 'an SA with another key is the same SA',
    file: 'src/sad/sa-equality.ts',
    find: "if (actual.keyFingerprint !== fingerprintOf(desired)) fields.push('key');",
    replace: 'fingerprintOf(desired);',
  },
];
