/* The sequence numbers of an outbound SA (RFC 4303, 2.2 and 3.3.3): each once, and never around. */
#ifndef LAGOPUS_SEQUENCE_H_
#define LAGOPUS_SEQUENCE_H_

#include <stdbool.h>
#include <stdint.h>

struct sequence {
	/* The next number to be sent; the last one once they are used up. */
	uint64_t next;
	/* Extended: 64 bits, of which packets have the lower half. */
	bool esn;
	bool is_used_up;
};

/* False for a first number that does not exist. */
static inline bool sequence_init(struct sequence *sequence, uint64_t first, bool esn)
{
	*sequence = (struct sequence){ .next = first, .esn = esn };
	return first != 0 && (esn || first <= UINT32_MAX);
}

/* Uses up a number. False when there are none left. */
static inline bool sequence_take(struct sequence *sequence, uint64_t *number)
{
	if (sequence->is_used_up) {
		return false;
	}
	*number = sequence->next;
	if (sequence->next == (sequence->esn ? UINT64_MAX : UINT32_MAX)) {
		sequence->is_used_up = true;
	} else {
		sequence->next++;
	}
	return true;
}

#endif
