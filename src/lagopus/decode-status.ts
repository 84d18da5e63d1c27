import { Direction, type GetStatusResponse } from '../proto/index.ts';

/** How full a table of few places for SPIs is. */
export type SpiSlots = {
  /** Empty: the one there is. */
  readonly vrf: string;
  readonly direction: 'both' | 'inbound' | 'outbound';
  readonly slots: number;
  readonly used: number;
  /** 0 to 1: how likely the next SPI of the peer's choice finds its place taken. */
  readonly collisionOdds: number;
};

/** How a dataplane stands, beside its entries. */
export type DataplaneStatus = {
  readonly spiSlots: readonly SpiSlots[];
  /** For a person: what is not as it should be, and what to do. */
  readonly notes: readonly string[];
};

function directionOf(direction: Direction): SpiSlots['direction'] {
  if (direction === Direction.DIRECTION_INBOUND) return 'inbound';
  return direction === Direction.DIRECTION_OUTBOUND ? 'outbound' : 'both';
}

export function decodeStatus({ spiSlots, notes }: GetStatusResponse): DataplaneStatus {
  return {
    spiSlots: spiSlots.map(({ vrf, direction, slots, used, collisionOdds }) => ({
      ...{ vrf, slots, used, collisionOdds },
      direction: directionOf(direction),
    })),
    notes,
  };
}
