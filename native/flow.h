/*
 * Cache from a packet's place in selector space, and its TUN device, to what the SPD says of it. Filled by asking
 * JavaScript; emptied in one step whenever an SA or a policy changes, before any object it points to
 * is freed.
 */
#ifndef LAGOPUS_FLOW_H_
#define LAGOPUS_FLOW_H_

#include "sa.h"

enum flow_action {
	/* No policy, or (outbound) one whose SA is not there. */
	FLOW_DROP = 0,
	FLOW_PROTECT = 1,
	FLOW_BYPASS = 2,
	FLOW_DISCARD = 3,
	/* PROTECT without an SA yet: drop, and ask for one. */
	FLOW_TRAP = 4,
	/* Inbound: a policy asks for the SA it came on. */
	FLOW_PASS = 5,
	/* Inbound: the policy asks for another SA, or for none. */
	FLOW_MISMATCH = 6,
};

/* What is counted for a policy of the SPD. */
struct policy {
	uint32_t handle;
	uint64_t packets;
	uint64_t bytes;
	uint64_t last_use_ms;
	uint64_t acquired_ms;
	/* The packet that hit a trap and nobody has heard of yet. */
	bool pending;
	struct flow_key pending_key;
	struct policy *pending_next;
};

struct flow {
	struct flow_key key;
	uint32_t epoch;
	enum flow_action action;
	struct sa *sa;
	struct policy *policy;
};

#define FLOW_SETS 2048
#define FLOW_WAYS 4

struct flows {
	uint32_t epoch;
	/* Which way of a set is replaced next. */
	uint8_t next[FLOW_SETS];
	struct flow items[FLOW_SETS][FLOW_WAYS];
};

/* A zeroed struct flows has to be cleared before its first use. */
void flows_clear(struct flows *flows);
/* The entry for this key; one with `epoch` unequal to flows->epoch is still to be filled. */
struct flow *flows_find(struct flows *flows, const struct flow_key *key);

#endif
