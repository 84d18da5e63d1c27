#include "offload.h"

#include "bytes.h"
#include "ipv4.h"

#include <netinet/in.h>

#define TCP_HEADER 20
#define TCP_FLAGS 13
#define TCP_CHECKSUM 16
#define TCP_PSH 0x08
#define TCP_ACK 0x10

/* What decides whether a packet may be part of a segment. */
struct candidate {
	uint8_t *packet;
	uint8_t *tcp;
	size_t header;
	size_t payload;
	uint32_t sequence;
	uint16_t identification;
	bool is_pushed;
};

/* Plain data of a TCP flow, with a correct checksum: what the kernel's own receive offload takes. */
static bool inspect(uint8_t *packet, size_t length, struct candidate *c)
{
	uint8_t *tcp = packet + IPV4_HEADER;
	size_t header;

	if (packet[0] != 0x45 || packet[9] != IPPROTO_TCP || length < IPV4_HEADER + TCP_HEADER ||
	    (get16(packet + 6) & (IPV4_MF | IPV4_OFFSET)) != 0) {
		return false;
	}
	header = IPV4_HEADER + (size_t)(tcp[12] >> 4) * 4;
	if (header < IPV4_HEADER + TCP_HEADER || header >= length || (tcp[TCP_FLAGS] & ~TCP_PSH) != TCP_ACK ||
	    checksum_add(checksum_pseudo(packet, IPPROTO_TCP, (uint16_t)(length - IPV4_HEADER)), tcp,
		    length - IPV4_HEADER) != UINT16_MAX ||
	    checksum_add(0, packet, IPV4_HEADER) != UINT16_MAX) {
		return false;
	}
	*c = (struct candidate){
		.packet = packet,
		.tcp = tcp,
		.header = header,
		.payload = length - header,
		.sequence = get32(tcp + 4),
		.identification = get16(packet + 4),
		.is_pushed = tcp[TCP_FLAGS] & TCP_PSH,
	};
	return true;
}

static bool same_flow(const uint8_t *a, const uint8_t *b)
{
	/* Addresses and ports; neither packet has IP options. */
	return memcmp(a + 12, b + 12, 12) == 0;
}

static bool fits(const struct coalesced *flow, const struct candidate *c)
{
	const uint8_t *tcp = flow->packet + IPV4_HEADER;

	return !flow->is_closed && flow->count < COALESCE_PACKETS && flow->header == c->header &&
	       flow->next_sequence == c->sequence && flow->next_identification == c->identification &&
	       c->payload <= flow->segment && flow->total + c->payload <= UINT16_MAX &&
	       /* TOS; flags and offset, TTL, protocol; acknowledgement; window; options. */
	       flow->packet[1] == c->packet[1] && memcmp(flow->packet + 6, c->packet + 6, 4) == 0 &&
	       memcmp(tcp + 8, c->tcp + 8, 4) == 0 && memcmp(tcp + 14, c->tcp + 14, 2) == 0 &&
	       memcmp(tcp + TCP_HEADER, c->tcp + TCP_HEADER, c->header - IPV4_HEADER - TCP_HEADER) == 0;
}

static void append(struct coalesced *flow, const struct candidate *c)
{
	flow->parts[1 + flow->count] = (struct iovec){ c->packet + c->header, c->payload };
	flow->count++;
	flow->total += c->payload;
	flow->next_sequence += (uint32_t)c->payload;
	flow->next_identification++;
	if (c->is_pushed) {
		flow->packet[IPV4_HEADER + TCP_FLAGS] |= TCP_PSH;
	}
	flow->is_closed = c->is_pushed || c->payload < flow->segment;
}

static void start(struct coalesced *flow, const struct candidate *c)
{
	flow->count = 1;
	flow->packet = c->packet;
	flow->header = c->header;
	flow->total = c->header + c->payload;
	flow->segment = c->payload;
	flow->next_sequence = c->sequence + (uint32_t)c->payload;
	flow->next_identification = (uint16_t)(c->identification + 1);
	flow->is_closed = c->is_pushed;
	flow->parts[1] = (struct iovec){ c->packet, flow->total };
}

static void write_flow(struct coalescer *coalescer, struct coalesced *flow)
{
	uint8_t *tcp = flow->packet + IPV4_HEADER;

	flow->offload = (struct virtio_net_hdr){ 0 };
	if (flow->count > 1) {
		put16(flow->packet + 2, (uint16_t)flow->total);
		ipv4_set_checksum(flow->packet);
		put16(tcp + TCP_CHECKSUM, checksum_pseudo(flow->packet, IPPROTO_TCP, (uint16_t)(flow->total - IPV4_HEADER)));
		flow->offload = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			.hdr_len = (uint16_t)flow->header,
			.gso_size = (uint16_t)flow->segment,
			.csum_start = IPV4_HEADER,
			.csum_offset = TCP_CHECKSUM,
		};
	}
	flow->parts[0] = (struct iovec){ &flow->offload, sizeof(flow->offload) };
	coalescer->write(coalescer->context, flow->parts, (int)flow->count + 1);
}

static void write_single(struct coalescer *coalescer, uint8_t *packet, size_t length)
{
	struct virtio_net_hdr none = { 0 };
	struct iovec parts[] = { { &none, sizeof(none) }, { packet, length } };

	coalescer->write(coalescer->context, parts, 2);
}

void coalesce_packet(struct coalescer *coalescer, uint8_t *packet, size_t length)
{
	struct coalesced *flow = NULL;
	struct candidate c = { 0 };
	uint32_t i;
	bool is_candidate = inspect(packet, length, &c);

	for (i = 0; i < coalescer->used && !flow; i++) {
		if (packet[9] == IPPROTO_TCP && same_flow(coalescer->flows[i].packet, packet)) {
			flow = &coalescer->flows[i];
		}
	}
	if (flow && is_candidate && fits(flow, &c)) {
		append(flow, &c);
		return;
	}
	if (flow) {
		/* Nothing overtakes within a flow. */
		write_flow(coalescer, flow);
	}
	if (is_candidate && !flow && coalescer->used < COALESCE_FLOWS) {
		flow = &coalescer->flows[coalescer->used++];
	}
	if (is_candidate && flow) {
		start(flow, &c);
		return;
	}
	if (flow) {
		*flow = coalescer->flows[--coalescer->used];
	}
	write_single(coalescer, packet, length);
}

void coalesce_flush(struct coalescer *coalescer)
{
	uint32_t i;

	for (i = 0; i < coalescer->used; i++) {
		write_flow(coalescer, &coalescer->flows[i]);
	}
	coalescer->used = 0;
}
