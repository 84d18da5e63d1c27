#include "sa.h"

#include <stdlib.h>

#include <openssl/crypto.h>

void sa_free(struct sa *sa)
{
	transform_free(&sa->transform);
	replay_free(&sa->replay);
	free(sa->source_selectors.items);
	free(sa->destination_selectors.items);
	OPENSSL_cleanse(sa, sizeof(*sa));
}

void sa_raise(struct sa *sa, uint32_t event)
{
	if (!(sa->raised & event)) {
		sa->raised |= event;
		sa->pending |= event;
	}
}

void sa_count(struct sa *sa, size_t length, uint64_t now_ms)
{
	sa->counters.bytes += length;
	sa->counters.packets++;
	sa->counters.last_use_ms = now_ms;
	if (sa->soft.bytes != 0 && sa->counters.bytes >= sa->soft.bytes) {
		sa_raise(sa, SA_SOFT_BYTES);
	}
	if (sa->soft.packets != 0 && sa->counters.packets >= sa->soft.packets) {
		sa_raise(sa, SA_SOFT_PACKETS);
	}
	if (sa->hard.bytes != 0 && sa->counters.bytes >= sa->hard.bytes) {
		sa->exhausted = true;
		sa_raise(sa, SA_HARD_BYTES);
	}
	if (sa->hard.packets != 0 && sa->counters.packets >= sa->hard.packets) {
		sa->exhausted = true;
		sa_raise(sa, SA_HARD_PACKETS);
	}
}

static bool selectors_match(const struct selectors *list, const struct address *address, uint16_t port,
	const struct flow_key *key)
{
	const struct selector *s;
	uint32_t i;

	for (i = 0; i < list->count; i++) {
		s = &list->items[i];
		if (s->is_ipv6 != key->is_ipv6 || !address_in_range(address, &s->first, &s->last) ||
		    (s->protocol != 0 && s->protocol != key->protocol)) {
			continue;
		}
		if (s->first_port == 0 && s->last_port == UINT16_MAX) {
			return true;
		}
		/* OPAQUE matches packets without ports, and only them. */
		if (s->first_port > s->last_port ? !key->has_ports
						 : key->has_ports && port >= s->first_port && port <= s->last_port) {
			return true;
		}
	}
	return false;
}

bool sa_selectors_match(const struct sa *sa, const struct flow_key *key)
{
	return selectors_match(&sa->source_selectors, &key->source, key->source_port, key) &&
	       selectors_match(&sa->destination_selectors, &key->destination, key->destination_port, key);
}
