/*
 * Anti-replay window (RFC 4303, 3.4.3) over 32-bit sequence numbers.
 *
 * A ring of bits, as RFC 6479 describes it: a sequence number's place in the ring never moves, so
 * advancing the window clears words instead of shifting all of them. The ring is larger than the
 * window by at least one word; only the last `window` numbers count.
 */
#ifndef LAGOPUS_REPLAY_H_
#define LAGOPUS_REPLAY_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_MAX_WINDOW 65536

struct replay {
	/* Packets; 0 turns the check off. */
	uint32_t window;
	/* Highest sequence number accepted, 0 if none was. */
	uint32_t highest;
	/* Number of 64-bit words in the ring, a power of two; 0 without a window. */
	uint32_t words;
	uint64_t *ring;
};

/* False without memory, or if the window is larger than REPLAY_MAX_WINDOW. */
bool replay_init(struct replay *replay, uint32_t window);
void replay_free(struct replay *replay);

/* Would this number be accepted? Changes nothing: ask before the ICV is verified. */
bool replay_check(const struct replay *replay, uint32_t sequence);

/* Marks a number that was checked as received. Only after the ICV is verified. */
void replay_accept(struct replay *replay, uint32_t sequence);

/*
 * The state as the contract has it: bit i (LSB of byte 0 is 0) is highest - i. Export writes
 * replay_bitmap_bytes() bytes. On import, numbers beyond the end of a short bitmap count as
 * received: whoever knows less must not open the window to replays.
 */
size_t replay_bitmap_bytes(const struct replay *replay);
void replay_export(const struct replay *replay, uint8_t *bitmap);
void replay_import(struct replay *replay, uint32_t highest, const uint8_t *bitmap, size_t length);

#endif
