import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Drills } from '../../src/dataplane/drills.ts';
import { Direction, ResultCode } from '../../src/proto/index.ts';
import { silentLogger } from '../../src/util/index.ts';
import { addSa, deleteSa, sampleSa } from './samples.ts';

describe('refusal drills', () => {
  let dir: string;
  let path: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'lagopus-drills-'));
    path = join(dir, 'drills.yaml');
  });
  after(() => rmSync(dir, { recursive: true }));

  function write(text: string): void {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  }

  const sa = (direction: Direction) =>
    sampleSa({ direction, spi: 4096, source: '198.18.0.1', destination: '198.18.0.2' });
  const inbound = addSa(sa(Direction.DIRECTION_INBOUND));
  const outbound = addSa(sa(Direction.DIRECTION_OUTBOUND));

  it('do nothing without a file, and follow it when it comes, changes and goes', () => {
    const drills = new Drills(path, silentLogger);
    assert.equal(drills.refusal(inbound), undefined);
    write('refuse: [{ operation: add_sa, code: internal, message: broken }]');
    assert.equal(drills.refusal(inbound), undefined);
    drills.refresh();
    assert.deepEqual(drills.refusal(inbound), { code: ResultCode.RESULT_CODE_INTERNAL, message: 'broken' });
    assert.equal(drills.refusal(deleteSa(inbound.addSa?.sa?.id)), undefined);
    write('{}');
    drills.refresh();
    assert.equal(drills.refusal(inbound), undefined);
    rmSync(path);
    drills.refresh();
    assert.equal(drills.refusal(inbound), undefined);
  });

  it('choose by direction, let some through, and end', () => {
    write('refuse: [{ operation: add_sa, direction: outbound, code: capacity, skip: 1, count: 2 }]');
    const drills = new Drills(path, silentLogger);
    const answers = Array.from({ length: 5 }, () => drills.refusal(outbound)?.code);
    const no = ResultCode.RESULT_CODE_CAPACITY;
    assert.deepEqual(answers, [undefined, no, no, undefined, undefined]);
    assert.equal(drills.refusal(inbound), undefined);
  });

  it('say what is wrong with their file', () => {
    write('refuse: [{ operation: add_sa, code: nonsense }]');
    assert.throws(() => new Drills(path, silentLogger), /drills\.yaml.*code/s);
    write('refuse: [');
    assert.throws(() => new Drills(path, silentLogger), /drills\.yaml/);
  });

  it('are none while their file is wrong, and the dataplane goes on', () => {
    write('refuse: [{ operation: add_sa, code: internal }]');
    const drills = new Drills(path, silentLogger);
    assert.ok(drills.refusal(inbound));
    write('refuse: nonsense');
    drills.refresh();
    assert.equal(drills.refusal(inbound), undefined);
  });
});
