#include "outer.h"

#include "bytes.h"

#include <netinet/in.h>

#define OUTER_TTL 64
#define NEXT_HEADER_IPV4 4
#define NEXT_HEADER_IPV6 41
#define FLOW_LABEL 0xfffff
#define UDP_CHECKSUM 6
#define TCP_HEADER 20
#define TCP_CHECKSUM 16

bool outer_load(const struct sa *sa, uint8_t *packet, const struct ip *ip, struct load *load)
{
	struct address source, destination;

	if (!sa->is_transport) {
		*load = (struct load){
			.bytes = packet,
			.length = ip->length,
			.next_header = ip->is_ipv6 ? NEXT_HEADER_IPV6 : NEXT_HEADER_IPV4,
		};
		return true;
	}
	source = ip_source(packet, ip);
	destination = ip_destination(packet, ip);
	if (ip->is_fragment || !address_equals(&source, &sa->source) ||
	    !address_equals(&destination, &sa->destination)) {
		return false;
	}
	load->place = ip_transport_place(packet, ip);
	load->bytes = packet + load->place.offset;
	load->length = ip->length - load->place.offset;
	load->next_header = packet[load->place.at];
	return true;
}

static uint8_t outer_tos(const struct sa *sa, uint8_t inner)
{
	return (sa->copy_dscp_out ? inner & TOS_DSCP : 0) | (sa->copy_ecn ? inner & TOS_ECN : 0);
}

static void put_ipv4(const struct sa *sa, const uint8_t *packet, const struct ip *ip, uint8_t *header)
{
	/* An IPv6 packet is never fragmented on its way. */
	uint16_t df = ip->is_ipv6 ? IPV4_DF : get16(packet + 6) & IPV4_DF;

	header[0] = 0x45;
	header[1] = outer_tos(sa, ip->tos);
	put16(header + 4, 0);
	put16(header + 6, sa->copy_df ? df : 0);
	header[8] = OUTER_TTL;
	memcpy(header + IPV4_SOURCE, sa->source.bytes + ADDRESS_IPV4, 4);
	memcpy(header + IPV4_DESTINATION, sa->destination.bytes + ADDRESS_IPV4, 4);
}

static void put_ipv6(const struct sa *sa, const uint8_t *packet, const struct ip *ip, uint8_t *header)
{
	put32(header, 6u << 28 | (uint32_t)outer_tos(sa, ip->tos) << 20 | (ip->is_ipv6 ? get32(packet) & FLOW_LABEL : 0));
	header[7] = OUTER_TTL;
	memcpy(header + IPV6_SOURCE, sa->source.bytes, ADDRESS_BYTES);
	memcpy(header + IPV6_DESTINATION, sa->destination.bytes, ADDRESS_BYTES);
}

/* The SA's own header; where it names a protocol, in `at`. */
static uint8_t *put_tunnel(const struct sa *sa, const uint8_t *packet, const struct ip *ip, uint8_t *end, size_t *at)
{
	if (address_is_ipv4(&sa->destination)) {
		*at = 9;
		put_ipv4(sa, packet, ip, end - IPV4_HEADER);
		return end - IPV4_HEADER;
	}
	*at = 6;
	put_ipv6(sa, packet, ip, end - IPV6_HEADER);
	return end - IPV6_HEADER;
}

uint8_t *outer_put(const struct sa *sa, const uint8_t *packet, const struct ip *ip, const struct load *load,
	uint8_t *ipsec, size_t *length, uint16_t identification)
{
	uint8_t *end = sa->udp ? ipsec - UDP_HEADER : ipsec, *header;
	size_t at = load->place.at;

	if (sa->is_transport) {
		header = memmove(end - load->place.offset, packet, load->place.offset);
	} else {
		header = put_tunnel(sa, packet, ip, end, &at);
	}
	if (sa->udp) {
		put16(end, sa->source_port);
		put16(end + 2, sa->destination_port);
		put16(end + 4, (uint16_t)(UDP_HEADER + *length));
		/* RFC 3948, 2.1; over IPv6 see outer_finish(). */
		put16(end + UDP_CHECKSUM, 0);
	}
	*length += (size_t)(ipsec - header);
	header[at] = sa->udp ? IPPROTO_UDP : sa->protocol;
	if (header[0] >> 4 == 6) {
		put16(header + 4, (uint16_t)(*length - IPV6_HEADER));
		return header;
	}
	put16(header + 2, (uint16_t)*length);
	/* With 0 the kernel would choose, behind the back of AH. */
	if (get16(header + 4) == 0) {
		put16(header + 4, identification);
	}
	put16(header + 10, 0);
	return header;
}

static uint16_t not_zero(uint16_t checksum)
{
	return checksum == 0 ? UINT16_MAX : checksum;
}

void outer_finish(const struct sa *sa, uint8_t *ipsec, size_t length)
{
	uint8_t pseudo[2 * ADDRESS_BYTES + 8] = { 0 }, *udp = ipsec - UDP_HEADER;

	if (!sa->udp || address_is_ipv4(&sa->destination)) {
		return;
	}
	/* Over IPv6 zero is no checksum (RFC 8200, 8.1); a receiver need not know RFC 6935's exception. */
	length += UDP_HEADER;
	memcpy(pseudo, sa->source.bytes, ADDRESS_BYTES);
	memcpy(pseudo + ADDRESS_BYTES, sa->destination.bytes, ADDRESS_BYTES);
	put32(pseudo + 2 * ADDRESS_BYTES, (uint32_t)length);
	pseudo[sizeof(pseudo) - 1] = IPPROTO_UDP;
	put16(udp + UDP_CHECKSUM, not_zero(~checksum_add(checksum_add(0, pseudo, sizeof(pseudo)), udp, length)));
}

/*
 * A NAT has changed addresses that checksums cover and could not correct them (RFC 3948, 3.1.2); that the peer
 * sent the rest is known from the ICV.
 */
static void correct_checksum(uint8_t *packet, const struct ip *ip)
{
	size_t length = ip->length - ip->upper, at;
	uint8_t *upper = packet + ip->upper;

	if (ip->is_fragment) {
		return;
	}
	if (ip->protocol == IPPROTO_TCP && length >= TCP_HEADER) {
		at = TCP_CHECKSUM;
	} else if (ip->protocol == IPPROTO_UDP && length >= UDP_HEADER && get16(upper + UDP_CHECKSUM) != 0) {
		at = UDP_CHECKSUM;
	} else {
		return;
	}
	if (at == UDP_CHECKSUM && get16(upper + 4) >= UDP_HEADER && get16(upper + 4) <= length) {
		length = get16(upper + 4);
	}
	put16(upper + at, 0);
	put16(upper + at, not_zero(~checksum_add(ip_pseudo_sum(packet, ip, ip->protocol, (uint32_t)length), upper, length)));
}

static enum esp_result strip_transport(const struct sa *sa, uint8_t *packet, const struct ip *outer,
	uint8_t next_header, uint8_t *bytes, size_t length, struct esp_packet *inner)
{
	bool is_udp = outer->protocol == IPPROTO_UDP;

	inner->bytes = memmove(bytes - outer->upper, packet, outer->upper);
	inner->length = outer->upper + length;
	inner->bytes[outer->protocol_at] = next_header;
	ip_set_length(inner->bytes, outer, inner->length);
	if (!outer->is_ipv6) {
		ipv4_set_checksum(inner->bytes);
	}
	if (!ip_parse(inner->bytes, inner->length, &inner->ip)) {
		return ESP_INNER;
	}
	if (is_udp && sa->udp) {
		correct_checksum(inner->bytes, &inner->ip);
	}
	return ESP_OK;
}

enum esp_result outer_strip(const struct sa *sa, uint8_t *packet, const struct ip *outer, uint8_t next_header,
	uint8_t *bytes, size_t length, struct esp_packet *inner)
{
	uint8_t ecn, tos;

	if (sa->is_transport) {
		return strip_transport(sa, packet, outer, next_header, bytes, length, inner);
	}
	/* What follows the packet is traffic flow confidentiality padding (RFC 4303, 2.7). */
	if (!ip_parse(bytes, length, &inner->ip) ||
	    next_header != (inner->ip.is_ipv6 ? NEXT_HEADER_IPV6 : NEXT_HEADER_IPV4)) {
		return ESP_INNER;
	}
	inner->bytes = bytes;
	inner->length = inner->ip.length;
	tos = inner->ip.tos;
	if (sa->copy_dscp_in) {
		tos = (outer->tos & TOS_DSCP) | (tos & TOS_ECN);
	}
	if (sa->copy_ecn) {
		if (!ecn_decapsulate(tos & TOS_ECN, outer->tos & TOS_ECN, &ecn)) {
			return ESP_CONGESTION;
		}
		tos = (tos & TOS_DSCP) | ecn;
	}
	if (tos != inner->ip.tos) {
		ip_set_tos(bytes, &inner->ip, tos);
		inner->ip.tos = tos;
	}
	return ESP_OK;
}

size_t outer_spi_offset(const struct ip *ip)
{
	size_t offset = ip->upper;

	switch (ip->protocol) {
	case IPPROTO_UDP:
		offset += UDP_HEADER;
		break;
	case IPPROTO_ESP:
		break;
	case IPPROTO_AH:
		offset += 4;
		break;
	default:
		return 0;
	}
	return !ip->is_fragment && ip->length >= offset + ESP_HEADER ? offset : 0;
}
