import assert from 'node:assert/strict';
import { parseEvent } from '../../src/vici/events.ts';
import { parseListedIkeSa } from '../../src/vici/ike-sa.ts';
import {
  AgentError,
  decodeMessage,
  decodePacket,
  encodeMessage,
  encodePacket,
  type IkeSaSummary,
  MalformedError,
  SaSummaryReader,
  SegmentSplitter,
  summarizeIkeSa,
} from '../../src/vici/index.ts';

/** A reproducible source of numbers below `limit` (mulberry32). */
export type Dice = (limit: number) => number;

export function seededDice(seed: number): Dice {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

/**
 * Whatever charon may send: it is understood, or refused with the offset of what is wrong
 * within the stream. What is understood is written back as the same bytes, and both
 * readers of list-sa agree on it.
 *
 * @throws AssertionError or whatever else should not have been thrown.
 */
export function fuzzStream(stream: Uint8Array, dice: Dice): void {
  const splitter = new SegmentSplitter();
  const reader = new SaSummaryReader();
  for (let at = 0; at < stream.length; ) {
    const size = 1 + dice(stream.length);
    const isWell = refusesOnlyMalformed(stream.length, () => {
      for (const { bytes, offset } of splitter.push(stream.subarray(at, at + size))) {
        fuzzSegment(bytes, offset, reader);
      }
    });
    if (!isWell) return;
    at += size;
  }
}

function fuzzSegment(segment: Uint8Array, offset: number, reader: SaSummaryReader): void {
  const packet = decodePacket(segment, offset);
  const hasName = !('name' in packet) || packet.name.length > 0;
  if (hasName) assert.deepEqual(encodePacket(packet).subarray(4), Buffer.from(segment));
  if (!('message' in packet)) return;
  const message = decodeMessage(packet.message, offset);
  assert.deepEqual(encodeMessage(message), Buffer.from(packet.message));
  if (packet.kind !== 'event') return;
  const whole = attempt(() => summarizeIkeSa(parseListedIkeSa(message)));
  const fast = attempt(() => reader.read(packet.message, offset));
  if (whole !== undefined) assert.deepEqual(fast, whole);
  refusesOnlyMalformed(Number.POSITIVE_INFINITY, () => parseEvent(packet.name, message));
}

function attempt(read: () => IkeSaSummary): IkeSaSummary | undefined {
  let summary: IkeSaSummary | undefined;
  refusesOnlyMalformed(Number.POSITIVE_INFINITY, () => {
    summary = read();
  });
  return summary;
}

/** False when it was refused. */
function refusesOnlyMalformed(length: number, work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'malformed') throw error;
    if (error instanceof MalformedError)
      assert.ok(error.offset >= 0 && error.offset <= length, error.message);
    return false;
  }
}

/** Bytes that are likely to matter: types, lengths, their limits. */
const TELLING_BYTES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 0x7f, 0x80, 0xfe, 0xff];

/** One to four small changes: to bytes, to lengths, to what comes after what. */
export function mutate(seed: Uint8Array, other: Uint8Array, dice: Dice): Uint8Array {
  let bytes = Buffer.from(seed);
  for (let count = 1 + dice(4); count > 0; count -= 1) {
    const at = dice(bytes.length + 1);
    switch (dice(6)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << dice(8));
        break;
      case 1:
        if (at < bytes.length) bytes[at] = TELLING_BYTES[dice(TELLING_BYTES.length)] ?? 0;
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + dice(8))]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(dice(at + 1), at), bytes.subarray(at)]);
        break;
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(dice(other.length + 1))]);
        break;
    }
  }
  // Half of them reach the message, whatever became of the segment's length.
  if (dice(2) === 0 && bytes.length > 4) bytes.writeUInt32BE(bytes.length - 4, 0);
  return bytes;
}
