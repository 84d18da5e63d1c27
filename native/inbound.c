/* struct mmsghdr */
#define _GNU_SOURCE

#include "engine-internal.h"

#include "bytes.h"
#include "mss.h"

#include <sys/uio.h>

#define PEER_REPORT_INTERVAL_MS 1000
/* Of engine_receive(), per socket. */
#define RECEIVE_SLICES 16

static void note_peer(struct engine *engine, struct sa *sa, const struct address *address, uint16_t port)
{
	if (address_equals(address, &sa->source) && port == sa->source_port) {
		return;
	}
	if (address_equals(address, &sa->peer_address) && port == sa->peer_port &&
	    engine->now_ms - sa->peer_reported_ms < PEER_REPORT_INTERVAL_MS) {
		return;
	}
	sa->peer_address = *address;
	sa->peer_port = port;
	sa->peer_reported_ms = engine->now_ms;
	sa->pending |= SA_PEER_ADDRESS;
}

static enum drop_reason policy_reason(enum flow_action action)
{
	switch (action) {
	case FLOW_DISCARD:
		return DROP_inboundDiscarded;
	case FLOW_MISMATCH:
		return DROP_inboundTemplate;
	default:
		return DROP_inboundNoPolicy;
	}
}

/* RFC 4301, 5.2, step 4: the SA's selectors, then the inbound SPD. */
static enum esp_result deliver(struct engine *engine, struct sa *sa, const struct esp_packet *inner,
	const struct drop_packet *told)
{
	const struct flow *flow;
	struct flow_key key;

	ip_flow_key(inner->bytes, &inner->ip, true, &key);
	key.device = sa->device;
	key.group = sa->group;
	if (!sa_selectors_match(sa, &key)) {
		sa->counters.selector_drops++;
		drop(engine, DROP_inboundSelectors, told);
		return ESP_SELECTORS;
	}
	sa_count(sa, inner->length, engine->now_ms);
	flow = lookup_flow(engine, &key);
	if (flow->action != FLOW_MISMATCH) {
		count_policy(engine, flow->policy, inner->length);
	}
	if (flow->action != FLOW_PASS) {
		sa->counters.selector_drops++;
		drop(engine, policy_reason(flow->action), told);
		return ESP_POLICY;
	}
	if (engine->clamp_mss && engine->is_open) {
		mss_clamp(inner->bytes, &inner->ip, engine->tuns[sa->device].mtu);
	}
	if (engine->tap) {
		tap_packet(engine, TAP_DECAPSULATED, sa, inner->bytes, &inner->ip);
	}
	return ESP_OK;
}

static void drop_inbound(struct engine *engine, enum esp_result result, const struct drop_packet *told)
{
	static const enum drop_reason reasons[] = {
		[ESP_MALFORMED] = DROP_inboundLength,
		[ESP_REPLAYED] = DROP_inboundReplayed,
		[ESP_INTEGRITY] = DROP_inboundIntegrity,
		[ESP_CONGESTION] = DROP_inboundCongestion,
		[ESP_EXPIRED] = DROP_inboundExpired,
		[ESP_INNER] = DROP_inboundInner,
	};

	drop(engine, reasons[result], told);
}

/* On ESP_OK `device` is where the inner packet goes. */
static enum esp_result decapsulate(struct engine *engine, uint8_t *packet, size_t length, struct esp_packet *inner,
	uint8_t *device)
{
	struct drop_packet told;
	enum esp_result result;
	uint16_t source_port;
	uint32_t pending;
	struct ip outer;
	size_t offset;
	struct sa *sa;

	if (!ip_parse(packet, length, &outer) || (offset = outer_spi_offset(&outer)) == 0) {
		drop(engine, DROP_inboundMalformed, NULL);
		return ESP_MALFORMED;
	}
	/* Decrypting overwrites headers. */
	told = (struct drop_packet){
		.spi = get32(packet + offset),
		.sequence = get32(packet + offset + 4),
		.source = ip_source(packet, &outer),
		.destination = ip_destination(packet, &outer),
	};
	source_port = get16(packet + outer.upper);
	sa = sad_find_inbound(&engine->sad, outer.protocol == IPPROTO_AH ? IPPROTO_AH : IPPROTO_ESP, told.spi,
		&told.destination);
	if (!sa) {
		drop(engine, DROP_inboundUnknownSpi, &told);
		return ESP_MALFORMED;
	}
	*device = sa->device;
	pending = sa->pending;
	result = sa->protocol == IPPROTO_AH ? ah_decapsulate(sa, packet, &outer, inner)
					    : esp_decapsulate(sa, packet, &outer, inner);
	if (outer.protocol == IPPROTO_UDP && sa->udp && (result == ESP_OK || result == ESP_DUMMY)) {
		note_peer(engine, sa, &told.source, source_port);
	}
	if (result == ESP_OK) {
		result = deliver(engine, sa, inner, &told);
	} else if (result == ESP_DUMMY) {
		engine->statistics.inboundDummy++;
	} else {
		drop_inbound(engine, result, &told);
	}
	note_sa(engine, sa, pending);
	return result;
}

enum esp_result engine_decapsulate(struct engine *engine, uint8_t *outer, size_t length, struct esp_packet *inner)
{
	enum esp_result result;
	uint8_t device;

	slice_begin(engine);
	result = decapsulate(engine, outer, length, inner, &device);
	slice_finish(engine);
	return result;
}

void write_tun(void *context, const struct iovec *parts, int count)
{
	struct tun *tun = context;

	if (writev(tun->fd, parts, count) < 0) {
		drop(tun->engine, DROP_tunWriteFailed, NULL);
	} else {
		tun->engine->statistics.tunPacketsWritten++;
	}
}

void on_outer_readable(uv_poll_t *poll, int status, int events)
{
	struct engine *engine = poll->data;
	int index = (int)(poll - engine->polls), count = 0, i;
	const struct net_raw *raw = &net_raw[index];
	struct esp_packet inner;
	struct iovec packet;
	struct tun *tun;
	uint8_t device;

	(void)events;
	slice_begin(engine);
	if (status == 0) {
		count = receive_packets(&engine->rx, engine->fds[index], raw->is_ipv6);
	}
	for (i = 0; i < count; i++) {
		engine->statistics.outerPacketsReceived++;
		if (!receive_packet(&engine->rx, i, raw->is_ipv6, raw->protocol, &packet)) {
			drop(engine, DROP_inboundMalformed, NULL);
			continue;
		}
		if (decapsulate(engine, packet.iov_base, packet.iov_len, &inner, &device) == ESP_OK) {
			coalesce_packet(&engine->tuns[device].coalescer, inner.bytes, &inner.ip);
		}
	}
	for (tun = engine->tuns; tun < engine->tuns + engine->tun_count; tun++) {
		coalesce_flush(&tun->coalescer);
	}
	if (status < 0) {
		slice_fault(engine, poll, "receive from a raw socket", -status);
	}
	slice_finish(engine);
}

void engine_receive(struct engine *engine)
{
	uint64_t before;
	int poll, slices;

	for (poll = 0; engine->is_open && poll < NET_RAW_COUNT; poll++) {
		for (slices = 0; slices < RECEIVE_SLICES && engine->is_open && engine->fds[poll] >= 0; slices++) {
			before = engine->statistics.outerPacketsReceived;
			on_outer_readable(&engine->polls[poll], 0, UV_READABLE);
			if (engine->statistics.outerPacketsReceived - before < SLICE) {
				break;
			}
		}
	}
}
