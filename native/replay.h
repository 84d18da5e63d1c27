/*
 * Anti-replay window (RFC 4303, 3.4.3 and appendix A) over sequence numbers of 32 bits, or of 64 of which
 * packets have the lower half.
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
	/* Extended sequence numbers. */
	bool esn;
	/* Highest sequence number accepted, 0 if none was. */
	uint64_t highest;
	/* Number of 64-bit words in the ring, a power of two; 0 without a window. */
	uint32_t words;
	uint64_t *ring;
};

/*
 * False without memory, if the window is larger than REPLAY_MAX_WINDOW, or 0 with ESN: the window is what
 * incoming numbers are completed with (RFC 4303, 3.4.3).
 */
bool replay_init(struct replay *replay, uint32_t window, bool esn);
void replay_free(struct replay *replay);

/*
 * The whole sequence number of a packet that has this lower half (RFC 4303, appendix A2.2); the number
 * itself without ESN. False for one that no packet can have: before the first or beyond the last.
 */
bool replay_complete(const struct replay *replay, uint32_t low, uint64_t *sequence);

/* Would this number be accepted? Changes nothing: ask before the ICV is verified. */
bool replay_check(const struct replay *replay, uint64_t sequence);

/* Marks a number that was checked as received. Only after the ICV is verified. */
void replay_accept(struct replay *replay, uint64_t sequence);

/*
 * The state as the contract has it: bit i (LSB of byte 0 is 0) is highest - i. Export writes
 * replay_bitmap_bytes() bytes. On import, numbers beyond the end of a short bitmap count as
 * received: whoever knows less must not open the window to replays.
 */
size_t replay_bitmap_bytes(const struct replay *replay);
void replay_export(const struct replay *replay, uint8_t *bitmap);
void replay_import(struct replay *replay, uint64_t highest, const uint8_t *bitmap, size_t length);

#endif
