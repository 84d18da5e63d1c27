/*
 * IPv6 headers and their extensions (RFC 8200).
 */
#ifndef LAGOPUS_IPV6_H_
#define LAGOPUS_IPV6_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IPV6_HEADER 40
#define IPV6_SOURCE 8
#define IPV6_DESTINATION 24
#define IPV6_MIN_MTU 1280

struct ip;

/* See ip_parse(). */
bool ipv6_parse(const uint8_t *bytes, size_t length, struct ip *ip);

static inline uint8_t ipv6_traffic_class(const uint8_t *packet)
{
	return (uint8_t)(packet[0] << 4 | packet[1] >> 4);
}

static inline void ipv6_set_traffic_class(uint8_t *packet, uint8_t tos)
{
	packet[0] = 0x60 | tos >> 4;
	packet[1] = (uint8_t)(tos << 4) | (packet[1] & 0x0f);
}

/* Whether it is an extension header of the common form: next header, length in 8 bytes without the first. */
bool ipv6_is_extension(uint8_t protocol);

/* The whole length of such a header at this offset, 0 if it does not end before `end`. */
static inline size_t ipv6_extension_length(const uint8_t *packet, size_t offset, size_t end)
{
	size_t length;

	if (offset + 8 > end) {
		return 0;
	}
	length = ((size_t)packet[offset + 1] + 1) * 8;
	return offset + length > end ? 0 : length;
}

#endif
