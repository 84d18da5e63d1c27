import { ResultCode } from '../../proto/index.ts';
import { Refusal } from '../../server/index.ts';
import { SLOT_COUNT, type SlotTable } from '../slots/index.ts';

/** Where drawn SPIs come from: the range charon itself uses. */
const FIRST = 0xc0000000;
const LAST = 0xcfffffff;
/** charon's exchange may take 165 s of retransmissions. */
const HELD_MS = 180_000;
/** One free slot of 127 is found by so many draws in all but one case of ten thousand. */
const MAX_DRAWS = 1_200;

/** A whole number from `first` to below `end`. */
type Random = (first: number, end: number) => number;

/**
 * Draws an SPI whose slot is free in every VRF: which one it is for is not known yet.
 * @throws Refusal when there is none
 */
export function reserveSpi(
  slots: Iterable<SlotTable>,
  isTaken: (spi: number) => boolean,
  random: Random,
): number {
  const tables = [...slots];
  for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
    const spi = random(FIRST, LAST + 1);
    if (isTaken(spi) || tables.some((table) => table.blocker('inbound', spi) !== undefined)) continue;
    for (const table of tables) table.reserve('inbound', spi, HELD_MS);
    return spi;
  }
  const used = Math.max(...tables.map((table) => table.used('inbound')));
  throw new Refusal(
    ResultCode.RESULT_CODE_CAPACITY,
    `no SPI is free of collisions: ${used} of vsw's ${SLOT_COUNT} slots are in use`,
  );
}
