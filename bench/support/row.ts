import { median, type Spread, spreadOf } from './statistics.ts';

/** The same thing measured on somebody else's implementation, in the same invocation. */
export type PeerRow = {
  readonly name: string;
  readonly median: number;
  /** Our median divided by the peer's; absent when the peer's is 0. */
  readonly ratio?: number;
  /** One value per run, in the order they were measured. */
  readonly values: readonly number[];
};

/** One line of a benchmark's table. */
export type Row = Spread & {
  readonly name: string;
  readonly unit: string;
  /** What the project wants to reach, in words; nothing checks it. */
  readonly aim?: string;
  /** One value per run, in the order they were measured. */
  readonly values: readonly number[];
  readonly peer?: PeerRow;
};

export type RowInput = {
  readonly name: string;
  readonly unit: string;
  readonly aim?: string | undefined;
  readonly values: readonly number[];
  readonly peer?: { readonly name: string; readonly values: readonly number[] };
};

/** @throws RangeError without values. */
export function makeRow({ name, unit, aim, values, peer }: RowInput): Row {
  const spread = spreadOf(values);
  return {
    name,
    unit,
    ...(aim === undefined ? {} : { aim }),
    ...spread,
    values,
    ...(peer === undefined ? {} : { peer: comparePeer(spread.median, peer.name, peer.values) }),
  };
}

function comparePeer(ownMedian: number, name: string, values: readonly number[]): PeerRow {
  const peerMedian = median(values);
  return {
    name,
    median: peerMedian,
    ...(peerMedian === 0 ? {} : { ratio: ownMedian / peerMedian }),
    values,
  };
}
