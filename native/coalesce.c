#include "offload.h"

#include "bytes.h"

#include <netinet/in.h>

#define TCP_HEADER 20u
#define TCP_FLAGS 13
#define TCP_CHECKSUM 16
#define TCP_PSH 0x08
#define TCP_ACK 0x10

/* What decides whether a packet may be part of a segment. */
struct candidate {
	uint8_t *packet;
	const struct ip *ip;
	uint8_t *tcp;
	size_t header;
	size_t payload;
	uint32_t sequence;
	uint16_t identification;
	bool is_pushed;
};

/* Plain data of a TCP flow, with a correct checksum: what the kernel's own receive offload takes. */
static bool inspect(uint8_t *packet, const struct ip *ip, struct candidate *c)
{
	size_t plain = ip->is_ipv6 ? IPV6_HEADER : IPV4_HEADER, length = ip->length - ip->upper, header;
	uint8_t *tcp = packet + ip->upper;

	if (ip->protocol != IPPROTO_TCP || ip->upper != plain || ip->is_fragment || length < TCP_HEADER) {
		return false;
	}
	header = ip->upper + (size_t)(tcp[12] >> 4) * 4;
	if (header < ip->upper + TCP_HEADER || header >= ip->length || (tcp[TCP_FLAGS] & ~TCP_PSH) != TCP_ACK ||
	    checksum_add(ip_pseudo_sum(packet, ip, IPPROTO_TCP, (uint32_t)length), tcp, length) != UINT16_MAX ||
	    (!ip->is_ipv6 && checksum_add(0, packet, IPV4_HEADER) != UINT16_MAX)) {
		return false;
	}
	*c = (struct candidate){
		.packet = packet,
		.ip = ip,
		.tcp = tcp,
		.header = header,
		.payload = ip->length - header,
		.sequence = get32(tcp + 4),
		.identification = ip->is_ipv6 ? 0 : get16(packet + 4),
		.is_pushed = tcp[TCP_FLAGS] & TCP_PSH,
	};
	return true;
}

/* Addresses and ports; a flow has neither options nor extensions. */
static bool same_flow(const struct coalesced *flow, const uint8_t *packet, const struct ip *ip)
{
	if (flow->ip.is_ipv6 != ip->is_ipv6 || flow->ip.upper != ip->upper) {
		return false;
	}
	return ip->is_ipv6 ? memcmp(flow->packet + IPV6_SOURCE, packet + IPV6_SOURCE, 36) == 0
			   : memcmp(flow->packet + IPV4_SOURCE, packet + IPV4_SOURCE, 12) == 0;
}

/* What else of the IP header segments of one datagram share. */
static bool same_header(const struct coalesced *flow, const struct candidate *c)
{
	if (c->ip->is_ipv6) {
		/* Traffic class, flow label; hop limit. */
		return memcmp(flow->packet, c->packet, 4) == 0 && flow->packet[7] == c->packet[7];
	}
	/* TOS; flags and offset, TTL, protocol. */
	return flow->next_identification == c->identification && flow->packet[1] == c->packet[1] &&
	       memcmp(flow->packet + 6, c->packet + 6, 4) == 0;
}

static bool fits(const struct coalesced *flow, const struct candidate *c)
{
	const uint8_t *tcp = flow->packet + flow->ip.upper;

	return !flow->is_closed && flow->count < COALESCE_PACKETS && flow->header == c->header &&
	       flow->next_sequence == c->sequence && c->payload <= flow->segment &&
	       flow->total + c->payload <= UINT16_MAX && same_header(flow, c) &&
	       /* Acknowledgement; window; options. */
	       memcmp(tcp + 8, c->tcp + 8, 4) == 0 && memcmp(tcp + 14, c->tcp + 14, 2) == 0 &&
	       memcmp(tcp + TCP_HEADER, c->tcp + TCP_HEADER, c->header - c->ip->upper - TCP_HEADER) == 0;
}

static void append(struct coalesced *flow, const struct candidate *c)
{
	flow->parts[1 + flow->count] = (struct iovec){ c->packet + c->header, c->payload };
	flow->count++;
	flow->total += c->payload;
	flow->next_sequence += (uint32_t)c->payload;
	flow->next_identification++;
	if (c->is_pushed) {
		flow->packet[flow->ip.upper + TCP_FLAGS] |= TCP_PSH;
	}
	flow->is_closed = c->is_pushed || c->payload < flow->segment;
}

static void start(struct coalesced *flow, const struct candidate *c)
{
	flow->count = 1;
	flow->packet = c->packet;
	flow->ip = *c->ip;
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
	uint8_t *tcp = flow->packet + flow->ip.upper;
	size_t length = flow->total - flow->ip.upper;

	flow->offload = (struct virtio_net_hdr){ 0 };
	if (flow->count > 1) {
		ip_set_length(flow->packet, &flow->ip, flow->total);
		if (!flow->ip.is_ipv6) {
			ipv4_set_checksum(flow->packet);
		}
		put16(tcp + TCP_CHECKSUM, ip_pseudo_sum(flow->packet, &flow->ip, IPPROTO_TCP, (uint32_t)length));
		flow->offload = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = flow->ip.is_ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
			.hdr_len = (uint16_t)flow->header,
			.gso_size = (uint16_t)flow->segment,
			.csum_start = flow->ip.upper,
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

void coalesce_packet(struct coalescer *coalescer, uint8_t *packet, const struct ip *ip)
{
	struct coalesced *flow = NULL;
	struct candidate c = { 0 };
	uint32_t i;
	bool is_candidate = inspect(packet, ip, &c);

	for (i = 0; i < coalescer->used && !flow; i++) {
		if (ip->protocol == IPPROTO_TCP && same_flow(&coalescer->flows[i], packet, ip)) {
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
	write_single(coalescer, packet, ip->length);
}

void coalesce_flush(struct coalescer *coalescer)
{
	uint32_t i;

	for (i = 0; i < coalescer->used; i++) {
		write_flow(coalescer, &coalescer->flows[i]);
	}
	coalescer->used = 0;
}
