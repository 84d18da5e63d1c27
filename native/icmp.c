#include "icmp.h"

#include "bytes.h"

#include <netinet/in.h>

#define TTL 64
#define ICMP_HEADER 8
#define IPV4_MAX_MESSAGE 576
/* Internetwork control (RFC 1812, 4.3.2.5). */
#define IPV4_TOS 0xc0
#define UNREACHABLE 3
#define FRAGMENTATION_NEEDED 4
#define PACKET_TOO_BIG 2

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool is_host_ipv4(const uint8_t *address)
{
	return address[0] != 0 && address[0] < 224;
}

/* Everything that is neither a query nor an answer to one. */
static bool is_error_ipv4(uint8_t type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static size_t too_big_ipv4(const uint8_t *packet, size_t length, const struct ip *ip, uint32_t mtu, uint8_t *out)
{
	size_t quoted = smaller(length, IPV4_MAX_MESSAGE - IPV4_HEADER - ICMP_HEADER), total;
	uint8_t *icmp = out + IPV4_HEADER;

	if (!is_host_ipv4(packet + IPV4_SOURCE) || !is_host_ipv4(packet + IPV4_DESTINATION) ||
	    (ip->protocol == IPPROTO_ICMP && ip->upper < length && is_error_ipv4(packet[ip->upper]))) {
		return 0;
	}
	total = IPV4_HEADER + ICMP_HEADER + quoted;
	memset(out, 0, IPV4_HEADER + ICMP_HEADER);
	out[0] = 0x45;
	out[1] = IPV4_TOS;
	put16(out + 2, (uint16_t)total);
	put16(out + 6, IPV4_DF);
	out[8] = TTL;
	out[9] = IPPROTO_ICMP;
	memcpy(out + IPV4_SOURCE, packet + IPV4_DESTINATION, 4);
	memcpy(out + IPV4_DESTINATION, packet + IPV4_SOURCE, 4);
	ipv4_set_checksum(out);
	icmp[0] = UNREACHABLE;
	icmp[1] = FRAGMENTATION_NEEDED;
	put16(icmp + 6, (uint16_t)smaller(mtu, UINT16_MAX));
	memcpy(icmp + ICMP_HEADER, packet, quoted);
	put16(icmp + 2, ~checksum_add(0, icmp, ICMP_HEADER + quoted));
	return total;
}

static size_t too_big_ipv6(const uint8_t *packet, size_t length, const struct ip *ip, uint32_t mtu, uint8_t *out)
{
	static const uint8_t unspecified[ADDRESS_BYTES] = { 0 };
	size_t quoted = smaller(length, ICMP_MAX - IPV6_HEADER - ICMP_HEADER), size = ICMP_HEADER + quoted;
	uint8_t *icmp = out + IPV6_HEADER;
	struct ip message = { .is_ipv6 = true };

	if (packet[IPV6_SOURCE] == 0xff || packet[IPV6_DESTINATION] == 0xff ||
	    memcmp(packet + IPV6_SOURCE, unspecified, sizeof(unspecified)) == 0 ||
	    (ip->protocol == IPPROTO_ICMPV6 && ip->upper < length && packet[ip->upper] < 128)) {
		return 0;
	}
	memset(out, 0, IPV6_HEADER + ICMP_HEADER);
	out[0] = 0x60;
	put16(out + 4, (uint16_t)size);
	out[6] = IPPROTO_ICMPV6;
	out[7] = TTL;
	memcpy(out + IPV6_SOURCE, packet + IPV6_DESTINATION, ADDRESS_BYTES);
	memcpy(out + IPV6_DESTINATION, packet + IPV6_SOURCE, ADDRESS_BYTES);
	icmp[0] = PACKET_TOO_BIG;
	put32(icmp + 4, mtu);
	memcpy(icmp + ICMP_HEADER, packet, quoted);
	put16(icmp + 2,
		~checksum_add(ip_pseudo_sum(out, &message, IPPROTO_ICMPV6, (uint32_t)size), icmp, size));
	return IPV6_HEADER + size;
}

size_t icmp_too_big(const uint8_t *packet, size_t length, const struct ip *ip, uint32_t mtu, uint8_t *out)
{
	length = smaller(length, ip->length);
	if (ip->is_later_fragment) {
		return 0;
	}
	return ip->is_ipv6 ? too_big_ipv6(packet, length, ip, mtu, out) : too_big_ipv4(packet, length, ip, mtu, out);
}
