#define _GNU_SOURCE

#include "engine-internal.h"

#include <time.h>

#define ACQUIRE_INTERVAL_MS 1000

uint64_t engine_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void note_sa(struct engine *engine, struct sa *sa, uint32_t before)
{
	if (sa->pending != 0 && before == 0) {
		sa->pending_next = engine->pending_sas;
		engine->pending_sas = sa;
	}
}

void note_acquire(struct engine *engine, struct policy *policy, const struct flow_key *key)
{
	if (policy->pending ||
	    (policy->acquired_ms != 0 && engine->now_ms - policy->acquired_ms < ACQUIRE_INTERVAL_MS)) {
		return;
	}
	policy->acquired_ms = engine->now_ms;
	policy->pending_key = *key;
	policy->pending = true;
	policy->pending_next = engine->pending_policies;
	engine->pending_policies = policy;
}

void tap_packet(struct engine *engine, enum tap_direction direction, const struct sa *sa, const uint8_t *packet,
	const struct ip *ip)
{
	if (tap_write(engine->tap, direction, sa->spi, packet, ip->length)) {
		engine->statistics.tapPacketsWritten++;
	} else {
		engine->statistics.tapWritesFailed++;
	}
}

void drop(struct engine *engine, enum drop_reason reason, const struct drop_packet *packet)
{
	drops_count(&engine->drops, reason, packet, engine->now_ms);
}

/* What a system says on every link it has (router solicitations, mDNS): no policy is meant for it. */
static bool is_link_multicast(const struct address *address)
{
	const uint8_t *bytes = address->bytes;

	return address_is_ipv4(address) ? memcmp(bytes + ADDRESS_IPV4, "\xe0\0\0", 3) == 0
					: bytes[0] == 0xff && (bytes[1] & 0x0f) == 2;
}

void drop_outbound(struct engine *engine, enum drop_reason reason, const struct sa *sa, const struct flow_key *key)
{
	struct drop_packet packet;

	if (!key || is_link_multicast(&key->destination)) {
		drop(engine, reason, NULL);
		return;
	}
	packet = (struct drop_packet){ .source = key->source, .destination = key->destination };
	if (sa) {
		packet.spi = sa->spi;
		packet.sequence = (uint32_t)sa->sequence.next;
	}
	drop(engine, reason, &packet);
}

static void report_drops(struct engine *engine)
{
	struct drop_report *report;
	struct drop_packet packet;
	uint64_t left_out;
	int reason;

	engine->drops.is_pending = false;
	for (reason = 0; reason < DROP_COUNT; reason++) {
		report = &engine->drops.reports[reason];
		if (report->is_pending) {
			report->is_pending = false;
			packet = report->packet;
			left_out = report->left_out;
			report->left_out = 0;
			engine->callbacks.dropped(engine->callbacks.context, (enum drop_reason)reason, &packet, left_out);
		}
	}
}

static void report(struct engine *engine)
{
	struct engine_callbacks *callbacks = &engine->callbacks;
	struct policy *policy;
	struct flow_key key;
	uint32_t event, handle;
	struct sa *sa;

	while ((sa = engine->pending_sas) != NULL) {
		event = sa->pending & -sa->pending;
		sa->pending &= ~event;
		if (sa->pending == 0) {
			engine->pending_sas = sa->pending_next;
		}
		callbacks->sa_event(callbacks->context, sa, event);
	}
	while ((policy = engine->pending_policies) != NULL) {
		engine->pending_policies = policy->pending_next;
		policy->pending = false;
		key = policy->pending_key;
		handle = policy->handle;
		callbacks->acquire(callbacks->context, handle, &key);
	}
	if (engine->drops.is_pending) {
		report_drops(engine);
	}
	callbacks->slice_end(callbacks->context);
}

void slice_begin(struct engine *engine)
{
	engine->is_busy = true;
	engine->now_ms = engine_now_ms();
}

void slice_finish(struct engine *engine)
{
	engine->is_busy = false;
	report(engine);
}

void slice_fault(struct engine *engine, uv_poll_t *poll, const char *what, int number)
{
	uv_poll_stop(poll);
	engine->callbacks.fault(engine->callbacks.context, what, number);
}

const struct flow *lookup_flow(struct engine *engine, const struct flow_key *key)
{
	struct flow *flow = flows_find(&engine->flows, key);
	struct verdict verdict;

	if (flow->epoch != engine->flows.epoch) {
		verdict = engine->callbacks.classify(engine->callbacks.context, key);
		flow->action = verdict.action;
		flow->policy = engine_policy(engine, verdict.policy);
		flow->sa = sad_get(&engine->sad, verdict.sa);
		if (flow->action == FLOW_PROTECT && (!flow->sa || flow->sa->inbound)) {
			flow->action = FLOW_DROP;
		}
		flow->epoch = engine->flows.epoch;
	}
	return flow;
}

void count_policy(const struct engine *engine, struct policy *policy, size_t length)
{
	if (policy) {
		policy->packets++;
		policy->bytes += length;
		policy->last_use_ms = engine->now_ms;
	}
}
