#include "mss.h"

#include "bytes.h"

#include <netinet/in.h>

#define TCP_HEADER 20
#define TCP_FLAGS 13
#define TCP_CHECKSUM 16
#define TCP_SYN 0x02
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2
#define OPTION_MSS_LENGTH 4

static uint16_t swapped_if(bool is_odd, uint16_t value)
{
	return is_odd ? __builtin_bswap16(value) : value;
}

/* RFC 1624: a checksum that was wrong stays wrong. */
static void replace16(uint8_t *tcp, size_t at, uint16_t value)
{
	uint32_t sum = (uint16_t)~get16(tcp + TCP_CHECKSUM);

	sum += (uint16_t)~swapped_if(at % 2, get16(tcp + at));
	sum += swapped_if(at % 2, value);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(tcp + at, value);
	put16(tcp + TCP_CHECKSUM, (uint16_t)~sum);
}

static void clamp(uint8_t *tcp, size_t end, uint16_t largest)
{
	size_t at = TCP_HEADER, length;

	while (at < end && tcp[at] != OPTION_END) {
		length = tcp[at] == OPTION_NOP ? 1 : at + 1 < end ? tcp[at + 1] : 0;
		if (length == 0 || at + length > end) {
			return;
		}
		if (tcp[at] == OPTION_MSS && length == OPTION_MSS_LENGTH) {
			if (get16(tcp + at + 2) > largest) {
				replace16(tcp, at + 2, largest);
			}
			return;
		}
		at += length;
	}
}

void mss_clamp(uint8_t *packet, const struct ip *ip, size_t mtu)
{
	size_t headers = (ip->is_ipv6 ? IPV6_HEADER : IPV4_HEADER) + TCP_HEADER, end;
	uint8_t *tcp = packet + ip->upper;

	if (ip->protocol != IPPROTO_TCP || ip->is_later_fragment || (size_t)ip->upper + TCP_HEADER > ip->length ||
	    !(tcp[TCP_FLAGS] & TCP_SYN) || mtu <= headers) {
		return;
	}
	end = (size_t)(tcp[12] >> 4) * 4;
	if (end > TCP_HEADER && ip->upper + end <= ip->length) {
		clamp(tcp, end, (uint16_t)(mtu - headers < UINT16_MAX ? mtu - headers : UINT16_MAX));
	}
}
