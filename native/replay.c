#include "replay.h"

#include <stdlib.h>

#define WORD_BITS 64

static uint32_t word_of(const struct replay *replay, uint64_t sequence)
{
	return (uint32_t)(sequence / WORD_BITS) & (replay->words - 1);
}

static uint64_t bit_of(uint64_t sequence)
{
	return UINT64_C(1) << (sequence % WORD_BITS);
}

bool replay_init(struct replay *replay, uint32_t window, bool esn)
{
	uint32_t needed = window / WORD_BITS + 2;

	*replay = (struct replay){ .window = window, .esn = esn };
	if (window > REPLAY_MAX_WINDOW || (esn && window == 0)) {
		return false;
	}
	if (window == 0) {
		return true;
	}
	replay->words = 1;
	while (replay->words < needed) {
		replay->words *= 2;
	}
	replay->ring = calloc(replay->words, sizeof(*replay->ring));
	return replay->ring != NULL;
}

void replay_free(struct replay *replay)
{
	free(replay->ring);
	*replay = (struct replay){ 0 };
}

bool replay_complete(const struct replay *replay, uint32_t low, uint64_t *sequence)
{
	uint32_t highest_low = (uint32_t)replay->highest, high = (uint32_t)(replay->highest >> 32);
	uint32_t bottom = highest_low - replay->window + 1;

	if (!replay->esn) {
		*sequence = low;
		return true;
	}
	if (highest_low >= replay->window - 1) {
		/* Case A: the window lies in one subspace; what is below it belongs to the next. */
		if (low < bottom && high++ == UINT32_MAX) {
			return false;
		}
	} else if (low >= bottom && high-- == 0) {
		/* Case B: the window begins in the subspace before. */
		return false;
	}
	*sequence = (uint64_t)high << 32 | low;
	return true;
}

bool replay_check(const struct replay *replay, uint64_t sequence)
{
	if (replay->window == 0) {
		return true;
	}
	if (sequence == 0) {
		/* RFC 4303, 2.2: the first packet of an SA has 1. */
		return false;
	}
	if (sequence > replay->highest) {
		return true;
	}
	if (replay->highest - sequence >= replay->window) {
		return false;
	}
	return !(replay->ring[word_of(replay, sequence)] & bit_of(sequence));
}

void replay_accept(struct replay *replay, uint64_t sequence)
{
	uint64_t from, to, n;

	if (replay->window != 0) {
		if (sequence > replay->highest) {
			from = replay->highest / WORD_BITS;
			to = sequence / WORD_BITS;
			n = to - from < replay->words ? to - from : replay->words;
			for (; n > 0; n--) {
				replay->ring[(to - n + 1) & (replay->words - 1)] = 0;
			}
		}
		replay->ring[word_of(replay, sequence)] |= bit_of(sequence);
	}
	if (sequence > replay->highest) {
		replay->highest = sequence;
	}
}

size_t replay_bitmap_bytes(const struct replay *replay)
{
	return (replay->window + 7) / 8;
}

void replay_export(const struct replay *replay, uint8_t *bitmap)
{
	uint64_t sequence;
	uint32_t i;

	for (i = 0; i < replay_bitmap_bytes(replay); i++) {
		bitmap[i] = 0;
	}
	for (i = 0; i < replay->window && i < replay->highest; i++) {
		sequence = replay->highest - i;
		if (replay->ring[word_of(replay, sequence)] & bit_of(sequence)) {
			bitmap[i / 8] |= (uint8_t)(1 << (i % 8));
		}
	}
}

void replay_import(struct replay *replay, uint64_t highest, const uint8_t *bitmap, size_t length)
{
	uint64_t sequence;
	uint32_t i;

	replay->highest = highest;
	for (i = 0; i < replay->window && i < highest; i++) {
		sequence = highest - i;
		if (i / 8 >= length || (bitmap[i / 8] & (1 << (i % 8)))) {
			replay->ring[word_of(replay, sequence)] |= bit_of(sequence);
		}
	}
}
