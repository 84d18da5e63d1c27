#include "ah.h"

#include "bytes.h"

#include <netinet/in.h>

/* RFC 4302, appendix A1. */
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_SECURITY 130
#define OPTION_LSRR 131
#define OPTION_EXTENDED_SECURITY 133
#define OPTION_CIPSO 134
#define OPTION_SSRR 137
#define OPTION_ROUTER_ALERT 148
#define OPTION_SDDM 149

/* RFC 8200, 4.2: the option's data may change on the way. */
#define OPTION_MUTABLE 0x20
#define OPTION_PAD1 0

#define ROUTING_SOURCE 0
#define ROUTING_HOME 2

static bool is_immutable(uint8_t option)
{
	return option == OPTION_SECURITY || option == OPTION_EXTENDED_SECURITY || option == OPTION_CIPSO ||
	       option == OPTION_ROUTER_ALERT || option == OPTION_SDDM;
}

/* Where a source route ends, which is what a receiver sees as the destination. */
static void follow_route(uint8_t *header, const uint8_t *option)
{
	uint8_t length = option[1], pointer = option[2];

	if (length >= 7 && pointer >= 4 && pointer + 3 <= length) {
		memcpy(header + IPV4_DESTINATION, option + length - 4, 4);
	}
}

static bool mute_options(uint8_t *header, size_t length, bool is_sent)
{
	uint8_t *option = header + IPV4_HEADER, *end = header + length;

	while (option < end && option[0] != OPTION_END) {
		if (option[0] == OPTION_NOP) {
			option++;
			continue;
		}
		if (end - option < 2 || option[1] < 2 || option[1] > end - option) {
			return false;
		}
		length = option[1];
		if (!is_immutable(option[0])) {
			if (is_sent && (option[0] == OPTION_LSRR || option[0] == OPTION_SSRR) && length >= 3) {
				follow_route(header, option);
			}
			memset(option, 0, length);
		}
		option += length;
	}
	return true;
}

static bool mute_ipv4(uint8_t *header, size_t length, bool is_sent)
{
	header[1] = 0;
	put16(header + 6, 0);
	header[8] = 0;
	put16(header + 10, 0);
	return mute_options(header, length, is_sent);
}

/* Options of a hop-by-hop or destination options header. */
static bool mute_extension(uint8_t *option, const uint8_t *end)
{
	for (option += 2; option < end; option += option[0] == OPTION_PAD1 ? 1 : 2 + option[1]) {
		if (option[0] == OPTION_PAD1) {
			continue;
		}
		if (end - option < 2 || option[1] > end - option - 2) {
			return false;
		}
		if (option[0] & OPTION_MUTABLE) {
			memset(option + 2, 0, option[1]);
		}
	}
	return true;
}

/* A routing header as it arrives: each hop has swapped its address with the next one's (RFC 2460, 4.4; RFC 6275, 6.4). */
static bool follow_routing(uint8_t *header, uint8_t *routing, size_t length)
{
	uint8_t *addresses = routing + 8, last[ADDRESS_BYTES];
	size_t count = (length - 8) / ADDRESS_BYTES, left = routing[3], i;

	if (left == 0) {
		return true;
	}
	if ((routing[2] != ROUTING_SOURCE && routing[2] != ROUTING_HOME) || left > count) {
		return false;
	}
	memcpy(last, addresses + (count - 1) * ADDRESS_BYTES, ADDRESS_BYTES);
	for (i = count - 1; i > count - left; i--) {
		memcpy(addresses + i * ADDRESS_BYTES, addresses + (i - 1) * ADDRESS_BYTES, ADDRESS_BYTES);
	}
	memcpy(addresses + (count - left) * ADDRESS_BYTES, header + IPV6_DESTINATION, ADDRESS_BYTES);
	memcpy(header + IPV6_DESTINATION, last, ADDRESS_BYTES);
	routing[3] = 0;
	return true;
}

static bool mute_ipv6(uint8_t *header, size_t length, bool is_sent)
{
	size_t offset = IPV6_HEADER, size;
	uint8_t protocol = header[6];

	put32(header, 6u << 28);
	header[7] = 0;
	for (; offset < length; offset += size) {
		size = ipv6_is_extension(protocol) ? ipv6_extension_length(header, offset, length) : 0;
		if (size == 0) {
			return false;
		}
		if (protocol != IPPROTO_ROUTING) {
			if (!mute_extension(header + offset, header + offset + size)) {
				return false;
			}
		} else if (!is_sent ? header[offset + 3] != 0 : !follow_routing(header, header + offset, size)) {
			return false;
		}
		protocol = header[offset];
	}
	return true;
}

bool ah_mute(uint8_t *headers, size_t length, bool is_sent)
{
	return headers[0] >> 4 == 6 ? mute_ipv6(headers, length, is_sent) : mute_ipv4(headers, length, is_sent);
}
