#include "flow.h"

#include <string.h>

_Static_assert(sizeof(struct flow_key) == 48, "flow keys are compared as bytes");

static uint32_t set_of(const struct flow_key *key)
{
	uint64_t words[6], hash;

	memcpy(words, key, sizeof(words));
	/* Each of odd weight; the upper halves of addresses differ less, and in low bits. */
	hash = words[1] * UINT64_C(0x9e3779b97f4a7c15) ^ words[3] * UINT64_C(0xc2b2ae3d27d4eb4f);
	hash ^= (words[0] + (words[2] << 1 | words[2] >> 63)) * UINT64_C(0x165667b19e3779f9);
	hash = (hash ^ hash >> 29 ^ words[4] ^ words[5] << 32) * UINT64_C(0xff51afd7ed558ccd);
	return (uint32_t)(hash >> 40) % FLOW_SETS;
}

void flows_clear(struct flows *flows)
{
	if (++flows->epoch == 0) {
		/* Old entries would come alive again. */
		memset(flows, 0, sizeof(*flows));
		flows->epoch = 1;
	}
}

struct flow *flows_find(struct flows *flows, const struct flow_key *key)
{
	uint32_t set = set_of(key), i;
	struct flow *flow;

	for (i = 0; i < FLOW_WAYS; i++) {
		flow = &flows->items[set][i];
		if (flow->epoch == flows->epoch && memcmp(&flow->key, key, sizeof(*key)) == 0) {
			return flow;
		}
	}
	flow = &flows->items[set][flows->next[set]++ % FLOW_WAYS];
	flow->epoch = 0;
	flow->key = *key;
	return flow;
}
