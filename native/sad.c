#include "sad.h"

#include <stdlib.h>

/* SPIs are random already; the multiplier spreads those that are not. */
static uint32_t bucket_of(const struct sad *sad, uint32_t spi)
{
	return (spi * UINT32_C(2654435761)) >> 8 & (sad->bucket_count - 1);
}

static void link_inbound(struct sad *sad, struct sa *sa)
{
	uint32_t bucket = bucket_of(sad, sa->spi);

	sa->hash_next = sad->buckets[bucket];
	sad->buckets[bucket] = sa;
	sad->inbound_count++;
}

static void unlink_inbound(struct sad *sad, struct sa *sa)
{
	struct sa **link = &sad->buckets[bucket_of(sad, sa->spi)];

	while (*link != sa) {
		link = &(*link)->hash_next;
	}
	*link = sa->hash_next;
	sad->inbound_count--;
}

static bool reserve(struct sad *sad)
{
	struct sa **old = sad->buckets, *sa, *next;
	uint32_t old_count = sad->bucket_count, i;

	if (sad->inbound_count < old_count) {
		return true;
	}
	sad->buckets = calloc(old_count ? (size_t)old_count * 2 : 256, sizeof(*sad->buckets));
	if (!sad->buckets) {
		sad->buckets = old;
		return false;
	}
	sad->bucket_count = old_count ? old_count * 2 : 256;
	sad->inbound_count = 0;
	for (i = 0; i < old_count; i++) {
		for (sa = old[i]; sa; sa = next) {
			next = sa->hash_next;
			link_inbound(sad, sa);
		}
	}
	free(old);
	return true;
}

bool sad_add(struct sad *sad, struct sa *sa)
{
	if (sa->inbound && !reserve(sad)) {
		return false;
	}
	sa->handle = slots_add(&sad->handles, sa);
	if (sa->handle == SLOTS_NONE) {
		return false;
	}
	if (sa->inbound) {
		link_inbound(sad, sa);
	}
	return true;
}

struct sa *sad_get(const struct sad *sad, uint32_t handle)
{
	return slots_get(&sad->handles, handle);
}

struct sa *sad_find_inbound(const struct sad *sad, uint8_t protocol, uint32_t spi, const struct address *destination)
{
	struct sa *sa;

	if (sad->bucket_count == 0) {
		return NULL;
	}
	for (sa = sad->buckets[bucket_of(sad, spi)]; sa; sa = sa->hash_next) {
		if (sa->spi == spi && sa->protocol == protocol && address_equals(&sa->destination, destination)) {
			return sa;
		}
	}
	return NULL;
}

static void destroy(void *object)
{
	sa_free(object);
	free(object);
}

void sad_remove(struct sad *sad, struct sa *sa)
{
	if (sa->inbound) {
		unlink_inbound(sad, sa);
	}
	slots_remove(&sad->handles, sa->handle);
	destroy(sa);
}

void sad_clear(struct sad *sad)
{
	slots_clear(&sad->handles, destroy);
	free(sad->buckets);
	*sad = (struct sad){ 0 };
}
