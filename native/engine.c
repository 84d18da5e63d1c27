/* recvmmsg, sendmmsg */
#define _GNU_SOURCE

#include "engine.h"

#include "bytes.h"
#include "offload.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Packets per slice, on either path: a few hundred microseconds of work. */
#define SLICE 64
#define MAX_PACKET 65536
/* A multiple of the cache line, not of a page: the slots' first lines fall into different sets. */
#define RX_STRIDE (MAX_PACKET + 1472)
#define ACQUIRE_INTERVAL_MS 1000
#define PEER_REPORT_INTERVAL_MS 1000
#define SEND_WAIT_MS 1

enum { POLL_TUN, POLL_ESP, POLL_UDP, POLL_COUNT };

struct transmit {
	uint32_t count;
	size_t stride;
	uint8_t *slots;
	struct mmsghdr messages[SLICE];
	struct iovec parts[SLICE];
	struct sockaddr_in to[SLICE];
};

struct receive {
	uint8_t *slots;
	struct mmsghdr messages[SLICE];
	struct iovec parts[SLICE];
};

struct engine {
	struct engine_callbacks callbacks;
	struct sad sad;
	struct slots policies;
	struct flows flows;
	struct engine_statistics statistics;
	struct sa *pending_sas;
	struct policy *pending_policies;
	struct coalescer coalescer;
	struct transmit tx;
	struct receive rx;
	uint8_t *tun_buffer;
	uint64_t now_ms;
	uint32_t mtu;
	uint16_t identification;
	bool is_busy;
	bool is_open;
	int sender;
	int fds[POLL_COUNT];
	uint32_t open_polls;
	uv_poll_t polls[POLL_COUNT];
};

uint64_t engine_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool engine_is_busy(const struct engine *engine)
{
	return engine->is_busy;
}

const struct engine_statistics *engine_statistics(const struct engine *engine)
{
	return &engine->statistics;
}

struct sad *engine_sad(struct engine *engine)
{
	return &engine->sad;
}

void engine_clear_flows(struct engine *engine)
{
	flows_clear(&engine->flows);
}

void engine_remove_sa(struct engine *engine, struct sa *sa)
{
	struct sa **link;

	for (link = &engine->pending_sas; *link; link = &(*link)->pending_next) {
		if (*link == sa) {
			*link = sa->pending_next;
			break;
		}
	}
	engine_clear_flows(engine);
	sad_remove(&engine->sad, sa);
}

struct policy *engine_add_policy(struct engine *engine)
{
	struct policy *policy = calloc(1, sizeof(*policy));

	if (policy) {
		policy->handle = slots_add(&engine->policies, policy);
		if (policy->handle == SLOTS_NONE) {
			free(policy);
			return NULL;
		}
	}
	return policy;
}

struct policy *engine_policy(struct engine *engine, uint32_t handle)
{
	return slots_get(&engine->policies, handle);
}

void engine_remove_policy(struct engine *engine, struct policy *policy)
{
	struct policy **link;

	for (link = &engine->pending_policies; *link; link = &(*link)->pending_next) {
		if (*link == policy) {
			*link = policy->pending_next;
			break;
		}
	}
	engine_clear_flows(engine);
	slots_remove(&engine->policies, policy->handle);
	free(policy);
}

/* ---- reports: raised while packets move, told when the slice is over ---- */

static void note_sa(struct engine *engine, struct sa *sa, uint32_t before)
{
	if (sa->pending != 0 && before == 0) {
		sa->pending_next = engine->pending_sas;
		engine->pending_sas = sa;
	}
}

static void note_acquire(struct engine *engine, struct policy *policy, const struct flow_key *key)
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
	callbacks->slice_end(callbacks->context);
}

static void slice_begin(struct engine *engine)
{
	engine->is_busy = true;
	engine->now_ms = engine_now_ms();
}

static void slice_finish(struct engine *engine)
{
	engine->is_busy = false;
	report(engine);
}

static const struct flow *lookup(struct engine *engine, const struct flow_key *key)
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

static void count_policy(struct engine *engine, struct policy *policy, size_t length)
{
	if (policy) {
		policy->packets++;
		policy->bytes += length;
		policy->last_use_ms = engine->now_ms;
	}
}

/* ---- outbound ---- */

static void transmit_flush(struct engine *engine)
{
	struct transmit *tx = &engine->tx;
	struct pollfd writable = { .fd = engine->sender, .events = POLLOUT };
	bool has_waited = false;
	uint32_t done = 0;
	int sent;

	while (done < tx->count) {
		sent = sendmmsg(engine->sender, tx->messages + done, tx->count - done, MSG_DONTWAIT);
		if (sent > 0) {
			done += (uint32_t)sent;
			engine->statistics.outerPacketsSent += (uint32_t)sent;
			continue;
		}
		if ((errno == EAGAIN || errno == EINTR) && !has_waited) {
			/* Holding back the TUN device for a moment beats dropping. */
			has_waited = true;
			poll(&writable, 1, SEND_WAIT_MS);
			continue;
		}
		if (errno == EMSGSIZE) {
			engine->statistics.sendTooLarge++;
		} else if (errno == EAGAIN || errno == ENOBUFS) {
			engine->statistics.sendBusy++;
		} else {
			engine->statistics.sendFailed++;
		}
		done++;
	}
	tx->count = 0;
}

/* Where the next packet to be sent is put together, with room for headers before and a trailer after. */
static uint8_t *transmit_slot(struct engine *engine)
{
	if (engine->tx.count == SLICE) {
		transmit_flush(engine);
	}
	return engine->tx.slots + engine->tx.count * engine->tx.stride + ESP_HEADROOM;
}

static void transmit(struct engine *engine, uint8_t *packet, size_t length)
{
	struct transmit *tx = &engine->tx;

	tx->parts[tx->count] = (struct iovec){ packet, length };
	memcpy(&tx->to[tx->count].sin_addr, packet + 16, sizeof(struct in_addr));
	tx->count++;
}

static enum esp_result encapsulate(struct engine *engine, struct sa *sa, uint8_t *inner, size_t length,
	struct esp_packet *outer)
{
	uint32_t pending = sa->pending;
	enum esp_result result;

	/* 0 would make the kernel choose. */
	engine->identification += engine->identification == UINT16_MAX ? 2 : 1;
	result = esp_encapsulate(sa, inner, length, engine->identification, engine->now_ms, outer);
	note_sa(engine, sa, pending);
	return result;
}

enum esp_result engine_encapsulate(struct engine *engine, struct sa *sa, uint8_t *inner, size_t length,
	struct esp_packet *outer)
{
	enum esp_result result;

	slice_begin(engine);
	result = encapsulate(engine, sa, inner, length, outer);
	slice_finish(engine);
	return result;
}

static void protect(struct engine *engine, struct sa *sa, uint8_t *inner, size_t length)
{
	struct esp_packet outer;

	switch (encapsulate(engine, sa, inner, length, &outer)) {
	case ESP_OK:
		transmit(engine, outer.bytes, outer.length);
		break;
	case ESP_EXHAUSTED:
		engine->statistics.outboundExhausted++;
		break;
	default:
		engine->statistics.outboundFailed++;
		break;
	}
}

/* Returns the number of packets it was. */
static uint32_t outbound(struct engine *engine, const uint8_t *bytes, size_t length)
{
	struct engine_statistics *statistics = &engine->statistics;
	struct virtio_net_hdr offload;
	const uint8_t *packet = bytes + sizeof(offload);
	const struct flow *flow;
	struct flow_key key;
	struct split split;
	uint32_t count = 0;
	uint8_t *slot;

	statistics->tunPacketsRead++;
	length = length < sizeof(offload) ? 0 : ipv4_length(packet, length - sizeof(offload));
	memcpy(&offload, bytes, sizeof(offload));
	if (length == 0 || !split_begin(&split, &offload, packet, length)) {
		statistics->outboundNotIpv4++;
		return 1;
	}
	if (split_largest(&split) > engine->mtu) {
		statistics->outboundTooLarge++;
		return 1;
	}
	ipv4_flow_key(packet, length, false, &key);
	flow = lookup(engine, &key);
	switch (flow->action) {
	case FLOW_PROTECT:
	case FLOW_BYPASS:
		for (slot = transmit_slot(engine); (length = split_next(&split, slot)) != 0;
		     slot = transmit_slot(engine)) {
			count++;
			count_policy(engine, flow->policy, length);
			if (flow->action == FLOW_PROTECT) {
				protect(engine, flow->sa, slot, length);
			} else {
				statistics->bypassed++;
				transmit(engine, slot, length);
			}
		}
		return count;
	case FLOW_TRAP:
		statistics->outboundTrapped++;
		count_policy(engine, flow->policy, length);
		if (flow->policy) {
			note_acquire(engine, flow->policy, &key);
		}
		return 1;
	case FLOW_DISCARD:
		statistics->outboundDiscarded++;
		count_policy(engine, flow->policy, length);
		return 1;
	default:
		if (flow->policy) {
			statistics->outboundNoSa++;
		} else {
			statistics->outboundNoPolicy++;
		}
		return 1;
	}
}

static void stop_poll(struct engine *engine, uv_poll_t *poll, const char *what, int number)
{
	uv_poll_stop(poll);
	engine->callbacks.fault(engine->callbacks.context, what, number);
}

static void on_tun_readable(uv_poll_t *poll, int status, int events)
{
	struct engine *engine = poll->data;
	uint32_t reads, packets = 0;
	ssize_t length = 0;
	int failure = status < 0 ? -status : 0;

	(void)events;
	slice_begin(engine);
	for (reads = 0; reads < SLICE && packets < SLICE && failure == 0; reads++) {
		length = read(engine->fds[POLL_TUN], engine->tun_buffer, sizeof(struct virtio_net_hdr) + MAX_PACKET);
		if (length < 0) {
			failure = errno == EAGAIN || errno == EINTR ? 0 : errno;
			break;
		}
		packets += outbound(engine, engine->tun_buffer, (size_t)length);
	}
	transmit_flush(engine);
	if (failure != 0) {
		/* Somebody deleted the device. */
		stop_poll(engine, poll, "read from the TUN device", failure);
	}
	slice_finish(engine);
}

/* ---- inbound ---- */

static void note_peer(struct engine *engine, struct sa *sa, uint32_t address, uint16_t port)
{
	if (address == sa->source && port == sa->source_port) {
		return;
	}
	if (address == sa->peer_address && port == sa->peer_port &&
	    engine->now_ms - sa->peer_reported_ms < PEER_REPORT_INTERVAL_MS) {
		return;
	}
	sa->peer_address = address;
	sa->peer_port = port;
	sa->peer_reported_ms = engine->now_ms;
	sa->pending |= SA_PEER_ADDRESS;
}

static enum esp_result deliver(struct engine *engine, struct sa *sa, const struct esp_packet *inner)
{
	const struct flow *flow;
	struct flow_key key;

	ipv4_flow_key(inner->bytes, inner->length, true, &key);
	if (!esp_selectors_match(sa, &key)) {
		sa->counters.selector_drops++;
		return ESP_MALFORMED;
	}
	esp_delivered(sa, inner->length, engine->now_ms);
	flow = lookup(engine, &key);
	count_policy(engine, flow->policy, inner->length);
	if (flow->action == FLOW_DISCARD) {
		engine->statistics.inboundDiscarded++;
		return ESP_DUMMY;
	}
	return ESP_OK;
}

static enum esp_result decapsulate(struct engine *engine, uint8_t *outer, size_t length, struct esp_packet *inner)
{
	size_t header, total = ipv4_length(outer, length);
	bool is_udp = total != 0 && outer[9] == IPPROTO_UDP;
	enum esp_result result;
	uint32_t pending;
	struct sa *sa;

	header = (size_t)(outer[0] & 0x0f) * 4 + (is_udp ? UDP_HEADER : 0);
	if (total < header + ESP_HEADER) {
		engine->statistics.inboundMalformed++;
		return ESP_MALFORMED;
	}
	sa = sad_find_inbound(&engine->sad, get32(outer + header), get32(outer + 16));
	if (!sa) {
		engine->statistics.inboundUnknownSpi++;
		return ESP_MALFORMED;
	}
	pending = sa->pending;
	result = esp_decapsulate(sa, outer + header, total - header, outer[1], inner);
	if (is_udp && sa->udp && (result == ESP_OK || result == ESP_DUMMY)) {
		note_peer(engine, sa, get32(outer + 12), get16(outer + header - UDP_HEADER));
	}
	if (result == ESP_OK) {
		result = deliver(engine, sa, inner);
	} else if (result == ESP_DUMMY) {
		engine->statistics.inboundDummy++;
	}
	if (result != ESP_OK && result != ESP_DUMMY) {
		engine->statistics.inboundDropped++;
	}
	note_sa(engine, sa, pending);
	return result;
}

enum esp_result engine_decapsulate(struct engine *engine, uint8_t *outer, size_t length, struct esp_packet *inner)
{
	enum esp_result result;

	slice_begin(engine);
	result = decapsulate(engine, outer, length, inner);
	slice_finish(engine);
	return result;
}

static void write_tun(void *context, const struct iovec *parts, int count)
{
	struct engine *engine = context;

	if (writev(engine->fds[POLL_TUN], parts, count) < 0) {
		engine->statistics.tunWriteFailed++;
	} else {
		engine->statistics.tunPacketsWritten++;
	}
}

static void on_outer_readable(uv_poll_t *poll, int status, int events)
{
	struct engine *engine = poll->data;
	struct receive *rx = &engine->rx;
	struct esp_packet inner;
	int count = 0, i;

	(void)events;
	slice_begin(engine);
	if (status == 0) {
		count = recvmmsg(engine->fds[poll - engine->polls], rx->messages, SLICE, MSG_DONTWAIT, NULL);
	}
	for (i = 0; i < count; i++) {
		engine->statistics.outerPacketsReceived++;
		if (decapsulate(engine, rx->parts[i].iov_base, rx->messages[i].msg_len, &inner) == ESP_OK) {
			coalesce_packet(&engine->coalescer, inner.bytes, inner.length);
		}
	}
	coalesce_flush(&engine->coalescer);
	if (status < 0) {
		stop_poll(engine, poll, "receive from a raw socket", -status);
	}
	slice_finish(engine);
}

/* ---- life ---- */

struct engine *engine_create(const struct engine_callbacks *callbacks)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (engine) {
		engine->callbacks = *callbacks;
		flows_clear(&engine->flows);
	}
	return engine;
}

static bool allocate(struct engine *engine)
{
	struct transmit *tx = &engine->tx;
	struct receive *rx = &engine->rx;
	uint32_t i;

	tx->stride = (ESP_HEADROOM + engine->mtu + ESP_TAILROOM + 127) / 64 * 64;
	tx->slots = malloc(tx->stride * SLICE);
	rx->slots = malloc((size_t)RX_STRIDE * SLICE);
	engine->tun_buffer = malloc(sizeof(struct virtio_net_hdr) + MAX_PACKET);
	if (!tx->slots || !rx->slots || !engine->tun_buffer) {
		return false;
	}
	for (i = 0; i < SLICE; i++) {
		tx->to[i].sin_family = AF_INET;
		tx->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &tx->to[i],
			.msg_namelen = sizeof(tx->to[i]),
			.msg_iov = &tx->parts[i],
			.msg_iovlen = 1,
		};
		rx->parts[i] = (struct iovec){ rx->slots + (size_t)i * RX_STRIDE, MAX_PACKET };
		rx->messages[i].msg_hdr = (struct msghdr){ .msg_iov = &rx->parts[i], .msg_iovlen = 1 };
	}
	engine->coalescer.write = write_tun;
	engine->coalescer.context = engine;
	return true;
}

static void release(struct engine *engine)
{
	free(engine->tx.slots);
	free(engine->rx.slots);
	free(engine->tun_buffer);
	engine->tx.slots = engine->rx.slots = engine->tun_buffer = NULL;
}

bool engine_open(struct engine *engine, uv_loop_t *loop, const struct engine_config *config, struct net_error *error)
{
	int i;

	engine->mtu = config->mtu;
	*error = (struct net_error){ "allocate packet buffers", ENOMEM };
	for (i = 0; i < POLL_COUNT; i++) {
		engine->fds[i] = -1;
	}
	engine->sender = -1;
	if (allocate(engine) && (engine->sender = net_open_sender(config->fwmark, error)) >= 0 &&
	    (engine->fds[POLL_ESP] = net_open_esp(error)) >= 0 &&
	    (engine->fds[POLL_UDP] = net_open_udp(config->udp_port, error)) >= 0) {
		engine->fds[POLL_TUN] = net_open_tun(config->tun_name, config->mtu, config->is_persistent, error);
	}
	if (engine->fds[POLL_TUN] < 0) {
		for (i = 0; i < POLL_COUNT; i++) {
			if (engine->fds[i] >= 0) {
				close(engine->fds[i]);
			}
		}
		if (engine->sender >= 0) {
			close(engine->sender);
		}
		release(engine);
		return false;
	}
	for (i = 0; i < POLL_COUNT; i++) {
		uv_poll_init(loop, &engine->polls[i], engine->fds[i]);
		engine->polls[i].data = engine;
		uv_poll_start(&engine->polls[i], UV_READABLE, i == POLL_TUN ? on_tun_readable : on_outer_readable);
	}
	engine->open_polls = POLL_COUNT;
	engine->is_open = true;
	return true;
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct engine *engine = handle->data;
	int i;

	if (--engine->open_polls > 0) {
		return;
	}
	for (i = 0; i < POLL_COUNT; i++) {
		close(engine->fds[i]);
	}
	close(engine->sender);
	release(engine);
	engine->callbacks.closed(engine->callbacks.context);
}

static void free_policy(void *object)
{
	free(object);
}

bool engine_close(struct engine *engine)
{
	int i;

	engine_clear_flows(engine);
	engine->pending_sas = NULL;
	engine->pending_policies = NULL;
	sad_clear(&engine->sad);
	slots_clear(&engine->policies, free_policy);
	if (!engine->is_open) {
		return false;
	}
	engine->is_open = false;
	for (i = 0; i < POLL_COUNT; i++) {
		uv_poll_stop(&engine->polls[i]);
		uv_close((uv_handle_t *)&engine->polls[i], on_poll_closed);
	}
	return true;
}

void engine_destroy(struct engine *engine)
{
	free(engine);
}
