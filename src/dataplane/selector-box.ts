import type { Address } from './address.ts';
import { isAnyPort, type PacketKey, type Selector } from './selector.ts';

/**
 * A box in selector space: for each dimension the lowest value, and then for each the highest one. The
 * dimensions are the four words of either address, the protocol and both ports, so that every one is a
 * small number in either family. A range of addresses that is no prefix is within its box, not equal to it.
 */
export type Box = number[];

/** A packet in the same dimensions. */
export type Point = number[];

const WORDS = 4;
const PROTOCOL = 2 * WORDS;
const SOURCE_PORT = PROTOCOL + 1;
const DESTINATION_PORT = PROTOCOL + 2;
export const DIMENSIONS = PROTOCOL + 3;

const MAX_WORD = 0xffffffff;
const WORD = BigInt(MAX_WORD);
const MAX_PROTOCOL = 255;

/** Below every port, so that OPAQUE is a value and "any" begins with it (RFC 4301, 4.4.1.1). */
const NO_PORT = -1;

/** The lowest word first: it tells most packets apart. */
function putAddress(address: Address, values: number[], at: number): void {
  values[at] = Number(address & WORD);
  values[at + 1] = Number((address >> 32n) & WORD);
  values[at + 2] = Number((address >> 64n) & WORD);
  values[at + 3] = Number(address >> 96n);
}

/** A range from one address to another: below the highest word in which they differ there may be anything. */
function putRange(box: Box, first: Address, last: Address, at: number): void {
  putAddress(first, box, at);
  putAddress(last, box, DIMENSIONS + at);
  let isOpen = false;
  for (let word = at + WORDS - 1; word >= at; word -= 1) {
    if (isOpen) {
      box[word] = 0;
      box[DIMENSIONS + word] = MAX_WORD;
    }
    isOpen ||= box[word] !== box[DIMENSIONS + word];
  }
}

function putPorts(box: Box, selector: Selector, at: number): void {
  const isOpaque = selector.firstPort > selector.lastPort;
  box[at] = isOpaque || isAnyPort(selector) ? NO_PORT : selector.firstPort;
  box[DIMENSIONS + at] = isOpaque ? NO_PORT : selector.lastPort;
}

/** The box of what both selectors match. */
export function boxOf(source: Selector, destination: Selector): Box {
  const box: Box = new Array(2 * DIMENSIONS).fill(0);
  putRange(box, source.first, source.last, 0);
  putRange(box, destination.first, destination.last, WORDS);
  // Two different protocols are a box without a point.
  box[PROTOCOL] = Math.max(source.protocol, destination.protocol);
  box[DIMENSIONS + PROTOCOL] = Math.min(
    source.protocol || MAX_PROTOCOL,
    destination.protocol || MAX_PROTOCOL,
  );
  putPorts(box, source, SOURCE_PORT);
  putPorts(box, destination, DESTINATION_PORT);
  return box;
}

/** Fills in where a packet is. */
export function locate(packet: PacketKey, point: Point): void {
  putAddress(packet.source, point, 0);
  putAddress(packet.destination, point, WORDS);
  point[PROTOCOL] = packet.protocol;
  point[SOURCE_PORT] = packet.sourcePort;
  point[DESTINATION_PORT] = packet.destinationPort;
}

export function newPoint(): Point {
  return new Array(DIMENSIONS).fill(0);
}

function at(values: readonly number[], index: number): number {
  return values[index] ?? 0;
}

export function contains(box: Box, point: Point): boolean {
  for (let d = 0; d < DIMENSIONS; d += 1) {
    const value = at(point, d);
    if (value < at(box, d) || value > at(box, DIMENSIONS + d)) return false;
  }
  return true;
}

/** The smallest box around both. */
export function union(a: Box, b: Box): Box {
  const box = a.slice();
  include(box, b);
  return box;
}

/** Widens a box to hold another one. */
export function include(box: Box, other: Box): void {
  for (let d = 0; d < DIMENSIONS; d += 1) {
    if (at(other, d) < at(box, d)) box[d] = at(other, d);
    const high = DIMENSIONS + d;
    if (at(other, high) > at(box, high)) box[high] = at(other, high);
  }
}

const INVERSE_POWERS = Array.from({ length: 32 }, (_, exponent) => 2 ** -exponent);

/** About log2(width + 1), growing with it, from 1 to 33: this is what inserting spends its time on. */
function bitsOf(width: number): number {
  const exponent = 31 - Math.clz32(width);
  return exponent + width * at(INVERSE_POWERS, exponent);
}

/** The logarithm of the number of points in the union of two boxes. */
export function unionBits(a: Box, b: Box): number {
  let bits = 0;
  for (let d = 0; d < DIMENSIONS; d += 1) {
    const high = DIMENSIONS + d;
    const width = Math.max(at(a, high), at(b, high)) - Math.min(at(a, d), at(b, d));
    if (width > 0) bits += bitsOf(width);
  }
  return bits;
}

/** The logarithm of the number of points in both boxes; undefined when there is none. */
export function sharedBits(a: Box, b: Box): number | undefined {
  let bits = 0;
  for (let d = 0; d < DIMENSIONS; d += 1) {
    const high = DIMENSIONS + d;
    const width = Math.min(at(a, high), at(b, high)) - Math.max(at(a, d), at(b, d));
    if (width < 0) return undefined;
    if (width > 0) bits += bitsOf(width);
  }
  return bits;
}

/** Compares by the place along one dimension, as those are sorted that are to be split there. */
export function compareAlong(a: Box, b: Box, dimension: number): number {
  return at(a, dimension) - at(b, dimension) || at(a, DIMENSIONS + dimension) - at(b, DIMENSIONS + dimension);
}
