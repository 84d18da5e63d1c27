/**
 * Which SPIs vsw can hold beside each other. Pure.
 *
 * Invariant: no two SAs are ever in one slot, because vsw would let the later one silently take the
 * earlier one's place.
 */
export { collisionOdds, SLOT_COUNT, slotOf } from './slot.ts';
export { type Direction, type SlotHolder, SlotTable } from './slot-table.ts';
