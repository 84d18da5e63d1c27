/* sendmmsg */
#define _GNU_SOURCE

#include "engine-internal.h"

#include "bytes.h"
#include "fragment.h"
#include "mss.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define SEND_WAIT_MS 1

/* How many of one family come next. */
static uint32_t run_of(const struct transmit *tx, uint32_t first)
{
	uint32_t end = first + 1;

	while (end < tx->count && tx->to[end].any.sa_family == tx->to[first].any.sa_family) {
		end++;
	}
	return end - first;
}

static void transmit_flush(struct engine *engine)
{
	struct transmit *tx = &engine->tx;
	struct pollfd writable = { .events = POLLOUT };
	bool has_waited = false;
	uint32_t done = 0;
	int sent;

	while (done < tx->count) {
		writable.fd = engine->senders[tx->to[done].any.sa_family == AF_INET6 ? FAMILY_IPV6 : FAMILY_IPV4];
		sent = sendmmsg(writable.fd, tx->messages + done, run_of(tx, done), MSG_DONTWAIT);
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
			fit_forget_paths(engine);
			drop(engine, DROP_sendTooLarge, NULL);
		} else if (errno == EAGAIN || errno == ENOBUFS) {
			drop(engine, DROP_sendBusy, NULL);
		} else {
			drop(engine, DROP_sendFailed, NULL);
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
	return engine->tx.slots + engine->tx.count * engine->tx.stride + SA_HEADROOM;
}

static void set_destination(struct transmit *tx, const uint8_t *packet)
{
	struct msghdr *message = &tx->messages[tx->count].msg_hdr;

	if (packet[0] >> 4 == 6) {
		tx->to[tx->count].ipv6 = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
		memcpy(&tx->to[tx->count].ipv6.sin6_addr, packet + IPV6_DESTINATION, sizeof(struct in6_addr));
		message->msg_namelen = sizeof(struct sockaddr_in6);
	} else {
		tx->to[tx->count].ipv4.sin_family = AF_INET;
		memcpy(&tx->to[tx->count].ipv4.sin_addr, packet + IPV4_DESTINATION, sizeof(struct in_addr));
		message->msg_namelen = sizeof(struct sockaddr_in);
	}
}

static void transmit(struct engine *engine, uint8_t *packet, size_t length, uint32_t mark)
{
	struct transmit *tx = &engine->tx;
	struct msghdr *message = &tx->messages[tx->count].msg_hdr;

	tx->parts[tx->count] = (struct iovec){ packet, length };
	set_destination(tx, packet);
	/* The socket has the usual mark. */
	message->msg_controllen = mark == engine->fwmark ? 0 : sizeof(tx->marks[0].bytes);
	if (mark != engine->fwmark) {
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(message)), &mark, sizeof(mark));
	}
	tx->count++;
}

static enum esp_result encapsulate(struct engine *engine, struct sa *sa, uint8_t *inner, const struct ip *ip,
	size_t largest, struct esp_packet *outer)
{
	uint32_t pending = sa->pending;
	enum esp_result result;

	/* 0 would make the kernel choose. */
	engine->identification += engine->identification == UINT16_MAX ? 2 : 1;
	result = sa->protocol == IPPROTO_AH
			 ? ah_encapsulate(sa, inner, ip, engine->identification, engine->now_ms, outer)
			 : esp_encapsulate(sa, inner, ip, largest, engine->identification, engine->now_ms, outer);
	note_sa(engine, sa, pending);
	return result;
}

enum esp_result engine_encapsulate(struct engine *engine, struct sa *sa, uint8_t *inner, size_t length,
	size_t largest, struct esp_packet *outer)
{
	enum esp_result result = ESP_MALFORMED;
	struct ip ip;

	slice_begin(engine);
	if (ip_parse(inner, length, &ip) && ip.length == length) {
		result = encapsulate(engine, sa, inner, &ip, largest, outer);
	}
	slice_finish(engine);
	return result;
}

/* False when it was dropped. */
static bool protect(struct engine *engine, struct sa *sa, uint8_t *inner, const struct ip *ip, size_t largest,
	const struct flow_key *key, struct esp_packet *outer)
{
	if (engine->clamp_mss) {
		mss_clamp(inner, ip, largest);
	}
	/* Encapsulating overwrites it. */
	if (engine->tap) {
		tap_packet(engine, TAP_TO_ENCAPSULATE, sa, inner, ip);
	}
	switch (encapsulate(engine, sa, inner, ip, largest, outer)) {
	case ESP_OK:
		return true;
	case ESP_EXHAUSTED:
		drop_outbound(engine, DROP_outboundSequence, sa, key);
		break;
	case ESP_EXPIRED:
		drop_outbound(engine, DROP_outboundExpired, sa, key);
		break;
	default:
		drop_outbound(engine, DROP_outboundFailed, sa, key);
		break;
	}
	return false;
}

/* In fragments, if it is larger than the path takes. */
static void transmit_datagram(struct engine *engine, const struct esp_packet *outer, size_t mtu, uint32_t mark)
{
	struct fragments fragments;
	struct ip ip;
	size_t length;
	uint8_t *slot = transmit_slot(engine);

	if (outer->bytes[0] >> 4 == 4) {
		/* That of an IPv6 packet that nobody may be told of. */
		put16(outer->bytes + 6, get16(outer->bytes + 6) & ~IPV4_DF);
	}
	if (!ip_parse(outer->bytes, outer->length, &ip) ||
	    (ip.length > mtu &&
		    !fragments_begin(&fragments, outer->bytes, &ip, mtu, engine->fragment_identification++))) {
		drop(engine, DROP_sendTooLarge, NULL);
		return;
	}
	if (ip.length <= mtu) {
		memcpy(slot, outer->bytes, ip.length);
		transmit(engine, slot, ip.length, mark);
		return;
	}
	for (; (length = fragments_next(&fragments, slot)) != 0; slot = transmit_slot(engine)) {
		transmit(engine, slot, length, mark);
	}
}

/* What outer packets may be. A slot holds what the device's own packets make. */
static size_t outer_mtu(const struct tun *tun, const struct sa *sa)
{
	return sa->path_mtu != 0 && sa->path_mtu < tun->mtu ? sa->path_mtu : tun->mtu;
}

/* A fragment of what transport mode protects whole. */
static void reassemble(struct tun *tun, struct reassembly *reassembly, const uint8_t *packet, const struct ip *fragment)
{
	struct engine *engine = tun->engine;
	const struct flow *flow;
	struct esp_packet outer;
	struct flow_key key;
	uint8_t *datagram;
	struct ip ip;

	switch (reassembly_add(reassembly, packet, fragment, &datagram, &ip)) {
	case REASSEMBLY_WAITING:
		return;
	case REASSEMBLY_BROKEN:
		drop(engine, DROP_outboundMalformed, NULL);
		return;
	case REASSEMBLY_WHOLE:
		break;
	}
	ip_flow_key(datagram, &ip, false, &key);
	key.device = tun->index;
	flow = lookup_flow(engine, &key);
	if (flow->action != FLOW_PROTECT) {
		drop_outbound(engine, DROP_outboundNoPolicy, NULL, &key);
		return;
	}
	count_policy(engine, flow->policy, ip.length);
	/* Asks for the path's MTU. */
	fit_largest(tun, flow->sa, datagram, &ip);
	if (protect(engine, flow->sa, datagram, &ip, tun->mtu, &key, &outer)) {
		transmit_datagram(engine, &outer, outer_mtu(tun, flow->sa), flow->sa->mark);
	}
}

/* Each packet as it is. Returns how many there were. */
static uint32_t protect_whole(struct engine *engine, const struct flow *flow, struct split *split, struct ip *ip,
	size_t largest)
{
	struct esp_packet outer;
	uint32_t count = 0;
	uint8_t *slot;
	size_t length;

	for (slot = transmit_slot(engine); (length = split_next(split, slot)) != 0; slot = transmit_slot(engine)) {
		count++;
		count_policy(engine, flow->policy, length);
		ip->length = (uint32_t)length;
		if (protect(engine, flow->sa, slot, ip, largest, &flow->key, &outer)) {
			transmit(engine, outer.bytes, outer.length, flow->sa->mark);
		}
	}
	return count;
}

/* The fragments of one packet, each through the SA. */
static void protect_fragments(struct engine *engine, const struct flow *flow, const uint8_t *packet, const struct ip *ip,
	size_t largest)
{
	struct fragments fragments;
	struct esp_packet outer;
	struct ip part;
	size_t length;
	uint8_t *slot;

	if (!fragments_begin(&fragments, packet, ip, largest, 0)) {
		drop_outbound(engine, DROP_outboundTooLarge, flow->sa, &flow->key);
		return;
	}
	for (slot = transmit_slot(engine); (length = fragments_next(&fragments, slot)) != 0; slot = transmit_slot(engine)) {
		if (ip_parse(slot, length, &part) &&
		    protect(engine, flow->sa, slot, &part, largest, &flow->key, &outer)) {
			transmit(engine, outer.bytes, outer.length, flow->sa->mark);
		}
	}
}

static uint32_t protect_fitting(struct tun *tun, const struct flow *flow, struct split *split, struct ip *ip)
{
	size_t largest = fit_largest(tun, flow->sa, split->packet, ip), length = split_largest(split);
	struct engine *engine = tun->engine;
	uint8_t *whole = engine->whole + SA_HEADROOM;
	struct esp_packet outer;
	uint32_t count = 0;
	enum fit fit;

	fit = fit_decide(engine, flow->sa, &flow->key, split->packet, ip, length, largest);
	if (fit == FIT_WHOLE) {
		return protect_whole(engine, flow, split, ip, largest);
	}
	if (fit == FIT_TOO_BIG) {
		drop_outbound(engine, DROP_outboundTooLarge, flow->sa, &flow->key);
		fit_tell_sender(tun, split->packet, ip->length, ip, largest);
		return 1;
	}
	for (; (length = split_next(split, whole)) != 0; count++) {
		ip->length = (uint32_t)length;
		count_policy(engine, flow->policy, length);
		if (fit == FIT_FRAGMENTS_BEFORE && length > largest) {
			protect_fragments(engine, flow, whole, ip, largest);
		} else if (protect(engine, flow->sa, whole, ip, largest, &flow->key, &outer)) {
			transmit_datagram(engine, &outer, outer_mtu(tun, flow->sa), flow->sa->mark);
		}
	}
	return count;
}

static uint32_t bypass(struct engine *engine, const struct flow *flow, struct split *split)
{
	uint32_t count = 0;
	uint8_t *slot;
	size_t length;

	for (slot = transmit_slot(engine); (length = split_next(split, slot)) != 0; slot = transmit_slot(engine)) {
		count++;
		count_policy(engine, flow->policy, length);
		engine->statistics.bypassed++;
		transmit(engine, slot, length, engine->fwmark);
	}
	return count;
}

/* Returns the number of packets it was. */
static uint32_t outbound(struct tun *tun, const uint8_t *bytes, size_t length)
{
	struct engine *engine = tun->engine;
	struct engine_statistics *statistics = &engine->statistics;
	struct virtio_net_hdr offload;
	const uint8_t *packet = bytes + sizeof(offload);
	const struct flow *flow;
	struct flow_key key;
	struct reassembly *reassembly;
	struct split split;
	struct ip ip;

	statistics->tunPacketsRead++;
	memcpy(&offload, bytes, sizeof(offload));
	if (length < sizeof(offload) || !ip_parse(packet, length - sizeof(offload), &ip) ||
	    !split_begin(&split, &offload, packet, &ip)) {
		drop(engine, DROP_outboundMalformed, NULL);
		return 1;
	}
	if (split_largest(&split) > tun->mtu) {
		drop(engine, DROP_outboundTooLarge, NULL);
		return 1;
	}
	if (ip.is_later_fragment &&
	    (reassembly = reassembler_find(&engine->reassembler, tun->index, packet, &ip, engine->now_ms)) != NULL) {
		reassemble(tun, reassembly, packet, &ip);
		return 1;
	}
	ip_flow_key(packet, &ip, false, &key);
	key.device = tun->index;
	flow = lookup_flow(engine, &key);
	if (ip.is_fragment && flow->action == FLOW_PROTECT && flow->sa->is_transport) {
		reassembly = reassembler_begin(&engine->reassembler, tun->index, packet, &ip, engine->now_ms);
		reassemble(tun, reassembly, packet, &ip);
		return 1;
	}
	switch (flow->action) {
	case FLOW_PROTECT:
		return protect_fitting(tun, flow, &split, &ip);
	case FLOW_BYPASS:
		return bypass(engine, flow, &split);
	case FLOW_TRAP:
		drop_outbound(engine, DROP_outboundTrapped, NULL, &key);
		count_policy(engine, flow->policy, ip.length);
		if (flow->policy) {
			note_acquire(engine, flow->policy, &key);
		}
		return 1;
	case FLOW_DISCARD:
		drop_outbound(engine, DROP_outboundDiscarded, NULL, &key);
		count_policy(engine, flow->policy, ip.length);
		return 1;
	default:
		if (flow->policy) {
			drop_outbound(engine, DROP_outboundNoSa, NULL, &key);
		} else {
			drop_outbound(engine, DROP_outboundNoPolicy, NULL, &key);
		}
		return 1;
	}
}

void on_tun_readable(uv_poll_t *poll, int status, int events)
{
	struct tun *tun = poll->data;
	struct engine *engine = tun->engine;
	uint32_t reads, packets = 0;
	ssize_t length = 0;
	int failure = status < 0 ? -status : 0;

	(void)events;
	slice_begin(engine);
	for (reads = 0; reads < SLICE && packets < SLICE && failure == 0; reads++) {
		length = read(tun->fd, engine->tun_buffer, sizeof(struct virtio_net_hdr) + MAX_PACKET);
		if (length < 0) {
			failure = errno == EAGAIN || errno == EINTR ? 0 : errno;
			break;
		}
		packets += outbound(tun, engine->tun_buffer, (size_t)length);
	}
	transmit_flush(engine);
	if (failure != 0) {
		/* Somebody deleted the device. */
		slice_fault(engine, poll, "read from the TUN device", failure);
	}
	slice_finish(engine);
}
