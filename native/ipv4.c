#include "ipv4.h"

#include "bytes.h"

size_t ipv4_length(const uint8_t *bytes, size_t length)
{
	size_t header, total;

	if (length < IPV4_HEADER || bytes[0] >> 4 != 4) {
		return 0;
	}
	header = (size_t)(bytes[0] & 0x0f) * 4;
	total = get16(bytes + 2);
	if (header < IPV4_HEADER || total < header || total > length) {
		return 0;
	}
	return total;
}

static uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/*
 * The sum does not depend on byte order except for a final swap, so it is taken over native words:
 * 32-bit ones into four 64-bit accumulators, which cannot overflow below 16 GiB.
 */
uint16_t checksum_add(uint16_t sum, const uint8_t *bytes, size_t length)
{
	uint64_t lanes[4] = { 0 }, total;
	uint32_t words[4];
	uint16_t word;
	int i;

	for (; length >= sizeof(words); length -= sizeof(words), bytes += sizeof(words)) {
		memcpy(words, bytes, sizeof(words));
		for (i = 0; i < 4; i++) {
			lanes[i] += words[i];
		}
	}
	total = lanes[0] + lanes[1] + lanes[2] + lanes[3];
	for (; length >= sizeof(word); length -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		total += word;
	}
	if (length == 1) {
		word = 0;
		memcpy(&word, bytes, 1);
		total += word;
	}
	return fold((uint64_t)sum + __builtin_bswap16(fold(total)));
}

void ipv4_set_checksum(uint8_t *packet)
{
	put16(packet + 10, 0);
	put16(packet + 10, ~checksum_add(0, packet, (size_t)(packet[0] & 0x0f) * 4));
}

void ipv4_set_tos(uint8_t *packet, uint8_t tos)
{
	uint16_t before = get16(packet);

	/* Incremental (RFC 1624): a header that was already corrupt must stay so. */
	packet[1] = tos;
	put16(packet + 10, ~fold((uint64_t)(uint16_t)~get16(packet + 10) + (uint16_t)~before + get16(packet)));
}

bool ecn_decapsulate(uint8_t inner, uint8_t outer, uint8_t *result)
{
	*result = inner;
	if (inner == ECN_NOT_ECT) {
		return outer != ECN_CE;
	}
	if (outer == ECN_CE || (outer == ECN_ECT1 && inner == ECN_ECT0)) {
		*result = outer;
	}
	return true;
}
