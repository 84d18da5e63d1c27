#include "ah.h"

#include "bytes.h"

#define AH_LENGTH 1
#define IPV4_ALIGN 4
#define IPV6_ALIGN 8

static size_t aligned(size_t length, size_t align)
{
	return (length + align - 1) / align * align;
}

/* Headers, and then AH with its ICV zero and all that follows. */
static bool cover(struct chunk *chunks, uint8_t *headers, const uint8_t *packet, size_t ah, size_t length, bool is_sent)
{
	if (ah > AH_MAX_COVERED) {
		return false;
	}
	memcpy(headers, packet, ah);
	chunks[0] = (struct chunk){ headers, ah };
	chunks[1] = (struct chunk){ packet + ah, length - ah };
	return ah_mute(headers, ah, is_sent);
}

enum esp_result ah_encapsulate(struct sa *sa, uint8_t *packet, const struct ip *ip, uint16_t identification,
	uint64_t now_ms, struct esp_packet *outer)
{
	uint8_t headers[AH_MAX_COVERED], *ah;
	struct chunk chunks[2];
	struct load load;
	uint64_t sequence;
	size_t length;

	if (sa->exhausted) {
		return ESP_EXPIRED;
	}
	if (!outer_load(sa, packet, ip, &load)) {
		return ESP_MALFORMED;
	}
	/* RFC 4302, 2.6: a multiple of what the IP version's headers are. */
	length = aligned(AH_HEADER + (size_t)sa->transform.icv_length,
		address_is_ipv4(&sa->destination) ? IPV4_ALIGN : IPV6_ALIGN);
	outer->length = length + load.length;
	if ((sa->is_transport ? load.place.offset : IP_MAX_HEADER) + outer->length > UINT16_MAX) {
		return ESP_MALFORMED;
	}
	if (!sequence_take(&sa->sequence, &sequence)) {
		sa_raise(sa, SA_SEQUENCE_OVERFLOW);
		return ESP_EXHAUSTED;
	}
	ah = load.bytes - length;
	outer->bytes = outer_put(sa, packet, ip, &load, ah, &outer->length, identification);
	memset(ah, 0, length);
	ah[0] = load.next_header;
	ah[AH_LENGTH] = (uint8_t)(length / 4 - 2);
	put32(ah + 4, sa->spi);
	put32(ah + 8, (uint32_t)sequence);
	if (!cover(chunks, headers, outer->bytes, (size_t)(ah - outer->bytes), outer->length, true) ||
	    !transform_icv(&sa->transform, chunks, 2, sequence, sa->sequence.esn, ah + AH_HEADER)) {
		return ESP_INTEGRITY;
	}
	sa_count(sa, ip->length, now_ms);
	return ESP_OK;
}

/* The length of the header, 0 if it is not one of this SA's. A receiver takes either alignment. */
static size_t header_length(const struct sa *sa, const uint8_t *ah, size_t available)
{
	size_t wanted = AH_HEADER + (size_t)sa->transform.icv_length, length;

	if (available < AH_HEADER) {
		return 0;
	}
	length = ((size_t)ah[AH_LENGTH] + 2) * 4;
	return length <= available && (length == aligned(wanted, IPV4_ALIGN) || length == aligned(wanted, IPV6_ALIGN))
		       ? length
		       : 0;
}

enum esp_result ah_decapsulate(struct sa *sa, uint8_t *packet, const struct ip *outer, struct esp_packet *inner)
{
	uint8_t headers[AH_MAX_COVERED], icv[TRANSFORM_MAX_ICV], *ah = packet + outer->upper;
	size_t length = header_length(sa, ah, outer->length - outer->upper);
	struct chunk chunks[2];
	enum esp_result result;
	uint64_t sequence;

	if (sa->exhausted) {
		return ESP_EXPIRED;
	}
	if (length == 0 || !cover(chunks, headers, packet, outer->upper, outer->length, false)) {
		sa->counters.malformed_drops++;
		return ESP_MALFORMED;
	}
	if (!replay_complete(&sa->replay, get32(ah + 8), &sequence) || !replay_check(&sa->replay, sequence)) {
		sa->counters.replay_drops++;
		return ESP_REPLAYED;
	}
	memcpy(icv, ah + AH_HEADER, sa->transform.icv_length);
	memset(ah + AH_HEADER, 0, sa->transform.icv_length);
	if (!transform_check_icv(&sa->transform, chunks, 2, sequence, sa->replay.esn, icv)) {
		sa->counters.integrity_failures++;
		return ESP_INTEGRITY;
	}
	replay_accept(&sa->replay, sequence);
	result = outer_strip(sa, packet, outer, ah[0], ah + length, outer->length - outer->upper - length, inner);
	if (result == ESP_INNER || result == ESP_CONGESTION) {
		sa->counters.malformed_drops++;
	}
	return result;
}
