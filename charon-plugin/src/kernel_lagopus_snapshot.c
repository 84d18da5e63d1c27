/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_snapshot.h"
#include "kernel_lagopus_messages.h"

#include <collections/array.h>

typedef struct entry_t entry_t;

/**
 * An SA or a policy's user
 */
struct entry_t {
	/** number it was installed under */
	uint64_t seq;
	/** one of them is set */
	sa_t *sa;
	policy_user_t *user;
};

/**
 * Sort entries by number
 */
static int entry_cmp(const void *a, const void *b, void *unused)
{
	const entry_t *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/*
 * Described in header.
 */
void snapshot_tables(kernel_lagopus_sad_t *sad, kernel_lagopus_spd_t *spd,
					 linked_list_t *frames)
{
	enumerator_t *enumerator;
	policy_user_t *user;
	array_t *entries;
	entry_t entry;
	chunk_t *frame;
	sa_t *sa;

	entries = array_create(sizeof(entry_t), 0);
	enumerator = sad->create_enumerator(sad);
	while (enumerator->enumerate(enumerator, &sa))
	{
		entry = (entry_t){ .seq = sa->seq, .sa = sa };
		array_insert(entries, ARRAY_TAIL, &entry);
	}
	enumerator->destroy(enumerator);
	enumerator = spd->create_enumerator(spd);
	while (enumerator->enumerate(enumerator, &user))
	{
		entry = (entry_t){ .seq = user->seq, .user = user };
		array_insert(entries, ARRAY_TAIL, &entry);
	}
	enumerator->destroy(enumerator);

	array_sort(entries, entry_cmp, NULL);
	while (array_remove(entries, ARRAY_HEAD, &entry))
	{
		INIT(frame);
		*frame = entry.sa ? message_add_sa(entry.sa, ANNOUNCE_SNAPSHOT)
						  : message_add_policy(entry.user, ANNOUNCE_SNAPSHOT);
		frames->insert_last(frames, frame);
	}
	array_destroy(entries);
}
