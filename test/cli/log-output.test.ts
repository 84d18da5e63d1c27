import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogOutput } from '../../src/cli/log-output.ts';

/** A file on a disk with so much room. */
class SmallDisk {
  text = '';
  room: number;

  constructor(room: number) {
    this.room = room;
  }

  readonly write = (bytes: Uint8Array): number => {
    if (this.room === 0) throw new Error('ENOSPC: no space left on device, write');
    const written = bytes.subarray(0, this.room);
    this.room -= written.length;
    this.text += Buffer.from(written).toString();
    return written.length;
  };
}

function outputTo(disk: SmallDisk): LogOutput {
  return new LogOutput((lines) => `lost ${lines}\n`, disk.write);
}

test('lines go out as they come', () => {
  const disk = new SmallDisk(100);
  const output = outputTo(disk);
  output.write('first\n');
  output.write('second\n');
  assert.equal(disk.text, 'first\nsecond\n');
});

test('a full disk loses lines and nothing else; what was lost is told of when there is room', () => {
  const disk = new SmallDisk(6);
  const output = outputTo(disk);
  for (const line of ['first\n', 'second\n', 'third\n']) output.write(line);
  assert.equal(disk.text, 'first\n');
  disk.room = 100;
  output.write('fourth\n');
  output.write('fifth\n');
  assert.equal(disk.text, 'first\nlost 2\nfourth\nfifth\n');
});

test('a line that was cut is ended before the next one', () => {
  const disk = new SmallDisk(8);
  const output = outputTo(disk);
  output.write('first\n');
  output.write('second\n');
  disk.room = 100;
  output.write('third\n');
  assert.equal(disk.text, 'first\nse\nlost 1\nthird\n');
});

test('a report that does not fit is made again, with what was lost meanwhile', () => {
  const disk = new SmallDisk(0);
  const output = outputTo(disk);
  output.write('first\n');
  disk.room = 3;
  output.write('second\n');
  assert.equal(disk.text, 'los');
  disk.room = 100;
  output.write('third\n');
  assert.equal(disk.text, 'los\nlost 2\nthird\n');
});
