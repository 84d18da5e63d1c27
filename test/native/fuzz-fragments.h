/* Packets cut into fragments and put together again; for packet-fuzz.c. */
#ifndef LAGOPUS_TEST_FUZZ_FRAGMENTS_H_
#define LAGOPUS_TEST_FUZZ_FRAGMENTS_H_

#include "fuzz-lab.h"

#include "../../native/fragment.h"
#include "../../native/reassemble.h"

#define MAX_FRAGMENTS 2000

struct fragment_bytes {
	uint8_t *bytes;
	size_t length;
};

/* Each in a block of exactly its size. */
static size_t cut_packet(const uint8_t *packet, const struct ip *ip, size_t mtu, struct fragment_bytes *out)
{
	uint8_t *room = malloc(mtu);
	struct fragments fragments;
	size_t count = 0, length;

	if (fragments_begin(&fragments, packet, ip, mtu, random32())) {
		while ((length = fragments_next(&fragments, room)) != 0) {
			if (length > mtu || count == MAX_FRAGMENTS) {
				abort();
			}
			out[count].bytes = malloc(length);
			out[count].length = length;
			memcpy(out[count++].bytes, room, length);
		}
	}
	free(room);
	return count;
}

static void shuffle(struct fragment_bytes *fragments, size_t count)
{
	struct fragment_bytes held;
	size_t i, j;

	for (i = count; i > 1; i--) {
		j = below((uint32_t)i);
		held = fragments[i - 1];
		fragments[i - 1] = fragments[j];
		fragments[j] = held;
	}
}

/* Whether the datagram holds nothing but what is in the packet, at its place. */
static bool is_same(const uint8_t *packet, const struct ip *ip, const uint8_t *datagram, const struct ip *whole)
{
	return whole->protocol == ip->protocol && whole->length == ip->length && whole->upper == ip->upper &&
	       memcmp(datagram + whole->upper, packet + ip->upper, ip->length - ip->upper) == 0;
}

/* Gives fragments in any order; some forged if `is_forged`. True if a datagram came of it. */
static bool put_together(struct reassembler *reassembler, const uint8_t *packet, const struct ip *ip,
	struct fragment_bytes *fragments, size_t count, bool is_forged)
{
	struct reassembly *reassembly;
	struct ip fragment, whole;
	uint8_t *datagram;
	bool is_whole = false;
	size_t i;

	shuffle(fragments, count);
	for (i = 0; i < count; i++) {
		if (is_forged && below(3) == 0) {
			fragments[i].bytes[below(below(2) ? 48 : (uint32_t)fragments[i].length) % fragments[i].length] ^=
				(uint8_t)(1 << below(8));
		}
		if (!ip_parse(fragments[i].bytes, fragments[i].length, &fragment) || !fragment.is_fragment) {
			continue;
		}
		reassembly = reassembler_begin(reassembler, 0, fragments[i].bytes, &fragment, 1);
		if (reassembly_add(reassembly, fragments[i].bytes, &fragment, &datagram, &whole) == REASSEMBLY_WHOLE) {
			if (!is_forged && (i != count - 1 || !is_same(packet, ip, datagram, &whole))) {
				abort();
			}
			is_whole = true;
		}
	}
	return is_whole;
}

/* Enough data, but behind the end: what is before it may not count as there. */
static void check_holes(struct reassembler *reassembler)
{
	static const uint16_t pieces[][2] = { { 0x2000 | 100, 80 }, { 5, 8 }, { 0x2000, 8 } };
	uint8_t packet[20 + 80] = { 0x45, [8] = 64, [9] = 253, [12] = 198, 18, 0, 1, 198, 18, 0, 2 }, *datagram;
	struct ip ip;
	int i;

	for (i = 0; i < 3; i++) {
		put16(packet + 2, (uint16_t)(20 + pieces[i][1]));
		put16(packet + 6, pieces[i][0]);
		if (!ip_parse(packet, sizeof(packet), &ip) ||
		    reassembly_add(reassembler_begin(reassembler, 0, packet, &ip, 1), packet, &ip, &datagram, &ip) ==
			    REASSEMBLY_WHOLE) {
			abort();
		}
	}
}

/* One packet without DF. Returns how many fragments it was. */
static size_t fuzz_fragments(struct reassembler *reassembler, uint8_t *packet, size_t length)
{
	static struct fragment_bytes fragments[MAX_FRAGMENTS];
	bool is_forged = below(2);
	size_t count, i;
	struct ip ip;

	if (packet[0] >> 4 == 4) {
		put16(packet + 6, 0);
	}
	if (!ip_parse(packet, length, &ip)) {
		abort();
	}
	count = cut_packet(packet, &ip, 100 + below(1400), fragments);
	if (count > 1 && put_together(reassembler, packet, &ip, fragments, count, is_forged) == false && !is_forged) {
		abort();
	}
	for (i = 0; i < count; i++) {
		free(fragments[i].bytes);
	}
	return count;
}

#endif
