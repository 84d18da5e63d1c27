/* sendmmsg */
#define _GNU_SOURCE

#include "engine-internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define SEND_WAIT_MS 1

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

static void transmit(struct engine *engine, uint8_t *packet, size_t length, uint32_t mark)
{
	struct transmit *tx = &engine->tx;
	struct msghdr *message = &tx->messages[tx->count].msg_hdr;

	tx->parts[tx->count] = (struct iovec){ packet, length };
	memcpy(&tx->to[tx->count].sin_addr, packet + 16, sizeof(struct in_addr));
	/* The socket has the usual mark. */
	message->msg_controllen = mark == engine->fwmark ? 0 : sizeof(tx->marks[0].bytes);
	if (mark != engine->fwmark) {
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(message)), &mark, sizeof(mark));
	}
	tx->count++;
}

static enum esp_result encapsulate(struct engine *engine, struct sa *sa, uint8_t *inner, size_t length,
	size_t largest, struct esp_packet *outer)
{
	uint32_t pending = sa->pending;
	enum esp_result result;

	/* 0 would make the kernel choose. */
	engine->identification += engine->identification == UINT16_MAX ? 2 : 1;
	result = esp_encapsulate(sa, inner, length, largest, engine->identification, engine->now_ms, outer);
	note_sa(engine, sa, pending);
	return result;
}

enum esp_result engine_encapsulate(struct engine *engine, struct sa *sa, uint8_t *inner, size_t length,
	size_t largest, struct esp_packet *outer)
{
	enum esp_result result;

	slice_begin(engine);
	result = encapsulate(engine, sa, inner, length, largest, outer);
	slice_finish(engine);
	return result;
}

static void protect(struct engine *engine, struct sa *sa, uint8_t *inner, size_t length, size_t largest)
{
	struct esp_packet outer;

	switch (encapsulate(engine, sa, inner, length, largest, &outer)) {
	case ESP_OK:
		transmit(engine, outer.bytes, outer.length, sa->mark);
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
static uint32_t outbound(struct tun *tun, const uint8_t *bytes, size_t length)
{
	struct engine *engine = tun->engine;
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
	if (split_largest(&split) > tun->mtu) {
		statistics->outboundTooLarge++;
		return 1;
	}
	ipv4_flow_key(packet, length, false, &key);
	key.device = tun->index;
	flow = lookup_flow(engine, &key);
	switch (flow->action) {
	case FLOW_PROTECT:
	case FLOW_BYPASS:
		for (slot = transmit_slot(engine); (length = split_next(&split, slot)) != 0;
		     slot = transmit_slot(engine)) {
			count++;
			count_policy(engine, flow->policy, length);
			if (flow->action == FLOW_PROTECT) {
				protect(engine, flow->sa, slot, length, tun->mtu);
			} else {
				statistics->bypassed++;
				transmit(engine, slot, length, engine->fwmark);
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
