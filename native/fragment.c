#include "fragment.h"

#include "bytes.h"

#include <netinet/in.h>

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_COPIED 0x80

bool fragments_begin(struct fragments *fragments, const uint8_t *packet, const struct ip *ip, size_t mtu,
	uint32_t identification)
{
	size_t headers = ip->upper + (ip->is_ipv6 ? IPV6_FRAGMENT_HEADER : 0);

	if (mtu < headers + 8 || (ip->is_ipv6 ? ip->is_fragment : (get16(packet + 6) & IPV4_DF) != 0)) {
		return false;
	}
	*fragments = (struct fragments){
		.packet = packet,
		.ip = *ip,
		.room = mtu - headers,
		.identification = identification,
	};
	return true;
}

/* Of all fragments but the first: options that are not copied make room to nothing (RFC 791, 3.1). */
static void clear_options(uint8_t *option, const uint8_t *end)
{
	size_t length;

	while (option < end && option[0] != OPTION_END) {
		if (option[0] == OPTION_NOP) {
			option++;
			continue;
		}
		if (end - option < 2 || option[1] < 2 || option[1] > end - option) {
			return;
		}
		length = option[1];
		if (!(option[0] & OPTION_COPIED)) {
			memset(option, OPTION_NOP, length);
		}
		option += length;
	}
}

static void put_ipv4(const struct fragments *fragments, uint8_t *out, size_t size, bool is_last)
{
	uint16_t before = get16(fragments->packet + 6);
	uint16_t more = is_last ? before & IPV4_MF : IPV4_MF;

	put16(out + 2, (uint16_t)(fragments->ip.upper + size));
	put16(out + 6, (uint16_t)(more | ((before & IPV4_OFFSET) + fragments->offset / 8)));
	if (fragments->offset > 0) {
		clear_options(out + IPV4_HEADER, out + fragments->ip.upper);
	}
	ipv4_set_checksum(out);
}

static void put_ipv6(const struct fragments *fragments, uint8_t *out, size_t size, bool is_last)
{
	const struct ip *ip = &fragments->ip;
	uint8_t *header = out + ip->upper;

	put16(out + 4, (uint16_t)(ip->upper - IPV6_HEADER + IPV6_FRAGMENT_HEADER + size));
	out[ip->protocol_at] = IPPROTO_FRAGMENT;
	header[0] = ip->protocol;
	header[1] = 0;
	put16(header + 2, (uint16_t)(fragments->offset | !is_last));
	put32(header + 4, fragments->identification);
}

size_t fragments_next(struct fragments *fragments, uint8_t *out)
{
	const struct ip *ip = &fragments->ip;
	size_t headers = ip->upper, left = ip->length - headers - fragments->offset, size;

	if (left == 0) {
		return 0;
	}
	size = left <= fragments->room ? left : fragments->room / 8 * 8;
	memcpy(out, fragments->packet, headers);
	if (ip->is_ipv6) {
		put_ipv6(fragments, out, size, size == left);
		headers += IPV6_FRAGMENT_HEADER;
	} else {
		put_ipv4(fragments, out, size, size == left);
	}
	memcpy(out + headers, fragments->packet + ip->upper + fragments->offset, size);
	fragments->offset += size;
	return headers + size;
}
