#include "ip.h"

#include "bytes.h"

#include <netinet/in.h>

#ifndef IPPROTO_MH
#define IPPROTO_MH 135
#endif

bool ip_parse(const uint8_t *bytes, size_t length, struct ip *ip)
{
	size_t total;
	uint16_t fragment;

	if (length > 0 && bytes[0] >> 4 == 6) {
		return ipv6_parse(bytes, length, ip);
	}
	total = ipv4_length(bytes, length);
	if (total == 0) {
		return false;
	}
	fragment = get16(bytes + 6);
	*ip = (struct ip){
		.tos = bytes[1],
		.is_fragment = (fragment & (IPV4_MF | IPV4_OFFSET)) != 0,
		.is_later_fragment = (fragment & IPV4_OFFSET) != 0,
		.protocol = bytes[9],
		.protocol_at = 9,
		.upper = (uint16_t)((bytes[0] & 0x0f) * 4),
		.length = (uint32_t)total,
	};
	return true;
}

struct address ip_source(const uint8_t *packet, const struct ip *ip)
{
	return ip->is_ipv6 ? address_ipv6(packet + IPV6_SOURCE) : address_ipv4(packet + IPV4_SOURCE);
}

struct address ip_destination(const uint8_t *packet, const struct ip *ip)
{
	return ip->is_ipv6 ? address_ipv6(packet + IPV6_DESTINATION) : address_ipv4(packet + IPV4_DESTINATION);
}

void ip_flow_key(const uint8_t *packet, const struct ip *ip, bool inbound, struct flow_key *key)
{
	const uint8_t *upper = packet + ip->upper;

	*key = (struct flow_key){
		.source = ip_source(packet, ip),
		.destination = ip_destination(packet, ip),
		.protocol = ip->protocol,
		.is_ipv6 = ip->is_ipv6,
		.inbound = inbound,
	};
	if (ip->is_later_fragment || ip->length < ip->upper + 4u) {
		return;
	}
	switch (key->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_DCCP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
		key->source_port = get16(upper);
		key->destination_port = get16(upper + 2);
		key->has_ports = 1;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		key->source_port = key->destination_port = get16(upper);
		key->has_ports = 1;
		break;
	case IPPROTO_MH:
		/* RFC 4301, 4.4.1.1: the type, where an ICMP type would be. */
		key->source_port = key->destination_port = (uint16_t)(upper[2] << 8);
		key->has_ports = 1;
		break;
	default:
		break;
	}
}

void ip_set_tos(uint8_t *packet, const struct ip *ip, uint8_t tos)
{
	if (ip->is_ipv6) {
		ipv6_set_traffic_class(packet, tos);
	} else {
		ipv4_set_tos(packet, tos);
	}
}

void ip_set_length(uint8_t *packet, const struct ip *ip, size_t length)
{
	if (ip->is_ipv6) {
		put16(packet + 4, (uint16_t)(length - IPV6_HEADER));
	} else {
		put16(packet + 2, (uint16_t)length);
	}
}

uint16_t ip_pseudo_sum(const uint8_t *packet, const struct ip *ip, uint8_t protocol, uint32_t length)
{
	uint8_t tail[8] = { 0 };

	put32(tail, length);
	tail[7] = protocol;
	return ip->is_ipv6 ? checksum_add(checksum_add(0, tail, sizeof(tail)), packet + IPV6_SOURCE, 32)
			   : checksum_add(checksum_add(0, tail, sizeof(tail)), packet + IPV4_SOURCE, 8);
}

struct ip_place ip_transport_place(const uint8_t *packet, const struct ip *ip)
{
	struct ip_place place = { ip->upper, ip->protocol_at }, options = { 0 };
	uint8_t protocol = packet[6];

	if (!ip->is_ipv6) {
		return place;
	}
	/* Destination options belong to the headers before only if a routing header follows them. */
	place = (struct ip_place){ IPV6_HEADER, 6 };
	while (place.offset < ip->upper) {
		if (protocol == IPPROTO_DSTOPTS && options.offset == 0) {
			options = place;
		} else if (protocol != IPPROTO_DSTOPTS) {
			options = (struct ip_place){ 0 };
		}
		protocol = packet[place.offset];
		place.at = place.offset;
		place.offset += (uint16_t)ipv6_extension_length(packet, place.offset, ip->length);
	}
	return options.offset != 0 ? options : place;
}
