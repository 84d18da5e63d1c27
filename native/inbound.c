/* recvmmsg */
#define _GNU_SOURCE

#include "engine-internal.h"

#include "bytes.h"

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

static enum esp_result deliver(struct engine *engine, struct sa *sa, const struct esp_packet *inner)
{
	const struct flow *flow;
	struct flow_key key;

	ipv4_flow_key(inner->bytes, inner->length, true, &key);
	key.device = sa->device;
	if (!esp_selectors_match(sa, &key)) {
		sa->counters.selector_drops++;
		return ESP_MALFORMED;
	}
	esp_delivered(sa, inner->length, engine->now_ms);
	flow = lookup_flow(engine, &key);
	count_policy(engine, flow->policy, inner->length);
	if (flow->action == FLOW_DISCARD) {
		engine->statistics.inboundDiscarded++;
		return ESP_DUMMY;
	}
	return ESP_OK;
}

/* On ESP_OK `device` is where the inner packet goes. */
static enum esp_result decapsulate(struct engine *engine, uint8_t *outer, size_t length, struct esp_packet *inner,
	uint8_t *device)
{
	size_t header, total = ipv4_length(outer, length);
	bool is_udp = total != 0 && outer[9] == IPPROTO_UDP;
	struct address source, destination;
	enum esp_result result;
	uint32_t pending;
	struct sa *sa;

	header = (size_t)(outer[0] & 0x0f) * 4 + (is_udp ? UDP_HEADER : 0);
	if (total < header + ESP_HEADER) {
		engine->statistics.inboundMalformed++;
		return ESP_MALFORMED;
	}
	source = address_ipv4(outer + 12);
	destination = address_ipv4(outer + 16);
	sa = sad_find_inbound(&engine->sad, get32(outer + header), &destination);
	if (!sa) {
		engine->statistics.inboundUnknownSpi++;
		return ESP_MALFORMED;
	}
	*device = sa->device;
	pending = sa->pending;
	result = esp_decapsulate(sa, outer + header, total - header, outer[1], inner);
	if (is_udp && sa->udp && (result == ESP_OK || result == ESP_DUMMY)) {
		note_peer(engine, sa, &source, get16(outer + header - UDP_HEADER));
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
		tun->engine->statistics.tunWriteFailed++;
	} else {
		tun->engine->statistics.tunPacketsWritten++;
	}
}

void on_outer_readable(uv_poll_t *poll, int status, int events)
{
	struct engine *engine = poll->data;
	struct receive *rx = &engine->rx;
	struct esp_packet inner;
	struct tun *tun;
	uint8_t device;
	int count = 0, i;

	(void)events;
	slice_begin(engine);
	if (status == 0) {
		count = recvmmsg(engine->fds[poll - engine->polls], rx->messages, SLICE, MSG_DONTWAIT, NULL);
	}
	for (i = 0; i < count; i++) {
		engine->statistics.outerPacketsReceived++;
		if (decapsulate(engine, rx->parts[i].iov_base, rx->messages[i].msg_len, &inner, &device) == ESP_OK) {
			coalesce_packet(&engine->tuns[device].coalescer, inner.bytes, inner.length);
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

	for (poll = POLL_ESP; engine->is_open && poll <= POLL_UDP; poll++) {
		for (slices = 0; slices < RECEIVE_SLICES && engine->is_open; slices++) {
			before = engine->statistics.outerPacketsReceived;
			on_outer_readable(&engine->polls[poll], 0, UV_READABLE);
			if (engine->statistics.outerPacketsReceived - before < SLICE) {
				break;
			}
		}
	}
}
