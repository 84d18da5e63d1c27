import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WatchEventsRequest } from '../../src/proto/index.ts';
import { type EventCursor, EventLog } from '../../src/server/event-log.ts';

const BOOT = Buffer.from('this boot');

function publish(log: EventLog, owner: string, ...reqids: readonly number[]): void {
  for (const reqid of reqids) log.publish(owner, { sequenceOverflow: { id: undefined, reqid } });
}

function open(log: EventLog, ownerId: string, after = 0n, bootId = BOOT): EventCursor {
  return log.open({ ...WatchEventsRequest.create(), ownerId, after, bootId });
}

/** What comes, in short: id and boot, gap or reqid. */
function drain(cursor: EventCursor): readonly (readonly [number, string | number])[] {
  const seen: [number, string | number][] = [];
  for (let event = cursor.next(); event !== undefined; event = cursor.next()) {
    const what = event.boot ? 'boot' : event.gap ? 'gap' : (event.sequenceOverflow?.reqid ?? -1);
    seen.push([Number(event.id), what]);
  }
  return seen;
}

describe('the event log', () => {
  it('starts with the boot event and what happens next', () => {
    const log = new EventLog(BOOT, 16);
    publish(log, 'a', 1);
    const cursor = open(log, 'a');
    assert.deepEqual(drain(cursor), [[1, 'boot']]);
    publish(log, 'a', 2);
    assert.deepEqual(drain(cursor), [[2, 2]]);
  });

  it('numbers each owner’s events without holes, and all of them for a watcher of all', () => {
    const log = new EventLog(BOOT, 16);
    const [a, b, all] = [open(log, 'a'), open(log, 'b'), open(log, '')];
    publish(log, 'a', 1);
    publish(log, 'b', 2);
    publish(log, 'a', 3);
    assert.deepEqual(drain(a), [
      [0, 'boot'],
      [1, 1],
      [2, 3],
    ]);
    assert.deepEqual(drain(b), [
      [0, 'boot'],
      [1, 2],
    ]);
    assert.deepEqual(drain(all), [
      [0, 'boot'],
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
  });

  it('resumes without a hole', () => {
    const log = new EventLog(BOOT, 16);
    publish(log, 'a', 1, 2, 3);
    assert.deepEqual(drain(open(log, 'a', 1n)), [
      [1, 'boot'],
      [2, 2],
      [3, 3],
    ]);
    assert.deepEqual(drain(open(log, 'a', 3n)), [[3, 'boot']]);
  });

  it('says gap when what was asked for is forgotten, of another boot, or from the future', () => {
    const log = new EventLog(BOOT, 2);
    publish(log, 'a', 1, 2, 3, 4);
    assert.deepEqual(drain(open(log, 'a', 1n)), [
      [1, 'boot'],
      [2, 'gap'],
      [3, 3],
      [4, 4],
    ]);
    assert.deepEqual(drain(open(log, 'a', 2n, Buffer.from('another'))), [
      [4, 'boot'],
      [4, 'gap'],
    ]);
    assert.deepEqual(drain(open(log, 'a', 9n)), [
      [4, 'boot'],
      [4, 'gap'],
    ]);
  });

  it('says gap to a reader that is too slow, and goes on with the oldest it has', () => {
    const log = new EventLog(BOOT, 2);
    const cursor = open(log, 'a');
    let woken = 0;
    const stop = cursor.onMore(() => {
      woken += 1;
    });
    publish(log, 'a', 1, 2, 3, 4, 5);
    assert.equal(woken, 5);
    assert.deepEqual(drain(cursor), [
      [0, 'boot'],
      [3, 'gap'],
      [4, 4],
      [5, 5],
    ]);
    stop();
    publish(log, 'a', 6);
    assert.equal(woken, 5);
  });
});
