#include "ip.h"

#include "bytes.h"

#include <netinet/in.h>

#define FRAGMENT_HEADER 8u
#define FRAGMENT_OFFSET 0xfff8

bool ipv6_is_extension(uint8_t protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_DSTOPTS;
}

/* Steps over extension headers, as far as they can be read. */
static void find_upper(const uint8_t *packet, struct ip *ip)
{
	size_t length;

	for (;;) {
		if (ip->protocol == IPPROTO_FRAGMENT && ip->upper + FRAGMENT_HEADER <= ip->length) {
			ip->is_fragment = true;
			ip->is_later_fragment = (get16(packet + ip->upper + 2) & FRAGMENT_OFFSET) != 0;
			length = FRAGMENT_HEADER;
		} else if (ip->protocol == IPPROTO_HOPOPTS && ip->protocol_at != 6) {
			/* It may only come first. */
			return;
		} else if (!ipv6_is_extension(ip->protocol) ||
			   (length = ipv6_extension_length(packet, ip->upper, ip->length)) == 0) {
			return;
		}
		ip->protocol_at = ip->upper;
		ip->protocol = packet[ip->upper];
		ip->upper += (uint16_t)length;
		if (ip->is_later_fragment) {
			return;
		}
	}
}

bool ipv6_parse(const uint8_t *bytes, size_t length, struct ip *ip)
{
	size_t payload;
	struct address source, destination;

	if (length < IPV6_HEADER || bytes[0] >> 4 != 6) {
		return false;
	}
	payload = get16(bytes + 4);
	/* A jumbogram (RFC 2675) has its length elsewhere. */
	if (IPV6_HEADER + payload > length || IPV6_HEADER + payload > UINT16_MAX ||
	    (payload == 0 && bytes[6] == IPPROTO_HOPOPTS)) {
		return false;
	}
	source = address_ipv6(bytes + IPV6_SOURCE);
	destination = address_ipv6(bytes + IPV6_DESTINATION);
	if (address_is_ipv4(&source) || address_is_ipv4(&destination)) {
		return false;
	}
	*ip = (struct ip){
		.is_ipv6 = true,
		.tos = ipv6_traffic_class(bytes),
		.protocol = bytes[6],
		.protocol_at = 6,
		.upper = IPV6_HEADER,
		.length = (uint32_t)(IPV6_HEADER + payload),
	};
	find_upper(bytes, ip);
	return true;
}
