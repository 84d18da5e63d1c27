#include "esp.h"

#include "bytes.h"

#include <netinet/in.h>

#define NEXT_HEADER_NONE 59

/*
 * With padding that hides how long the packet is. Not in transport mode: most protocols there do not say
 * where they end (RFC 4303, 2.7).
 */
static size_t tfc_padded(const struct sa *sa, size_t length, size_t largest)
{
	size_t wanted = sa->tfc_length < largest ? sa->tfc_length : largest;

	return length < wanted && !sa->is_transport ? wanted : length;
}

enum esp_result esp_encapsulate(struct sa *sa, uint8_t *packet, const struct ip *ip, size_t largest,
	uint16_t identification, uint64_t now_ms, struct esp_packet *outer)
{
	struct transform *transform = &sa->transform;
	size_t text, padding, headers, i;
	uint8_t *esp, *trailer;
	struct load load;
	uint64_t sequence;

	if (sa->exhausted) {
		return ESP_EXPIRED;
	}
	if (!outer_load(sa, packet, ip, &load)) {
		return ESP_MALFORMED;
	}
	text = tfc_padded(sa, load.length, largest);
	padding = (transform->align - (text + 2) % transform->align) % transform->align;
	headers = sa->is_transport ? load.place.offset : IP_MAX_HEADER;
	if (headers + UDP_HEADER + ESP_OVERHEAD(transform) + text + padding > UINT16_MAX) {
		return ESP_MALFORMED;
	}
	if (!sequence_take(&sa->sequence, &sequence)) {
		sa_raise(sa, SA_SEQUENCE_OVERFLOW);
		return ESP_EXHAUSTED;
	}
	esp = load.bytes - transform->iv_length - ESP_HEADER;
	outer->length = ESP_OVERHEAD(transform) + text + padding;
	/* Before the payload is encrypted: it reads the packet's header. */
	outer->bytes = outer_put(sa, packet, ip, &load, esp, &outer->length, identification);
	put32(esp, sa->spi);
	put32(esp + 4, (uint32_t)sequence);
	memset(load.bytes + load.length, 0, text - load.length);
	trailer = load.bytes + text;
	for (i = 1; i <= padding; i++) {
		*trailer++ = (uint8_t)i;
	}
	*trailer++ = (uint8_t)padding;
	*trailer = load.next_header;
	if (!transform_seal(transform, sequence, sa->sequence.esn, esp, text + padding + 2)) {
		return ESP_INTEGRITY;
	}
	outer_finish(sa, esp, ESP_OVERHEAD(transform) + text + padding);
	sa_count(sa, ip->length, now_ms);
	return ESP_OK;
}

/* Finds the packet in what was decrypted. */
static enum esp_result unwrap(const struct sa *sa, uint8_t *packet, const struct ip *outer, uint8_t *text,
	size_t length, struct esp_packet *inner)
{
	uint8_t padding = text[length - 2], next_header = text[length - 1];
	size_t i, payload;

	if ((size_t)padding + 2 > length) {
		return ESP_INNER;
	}
	payload = length - 2 - padding;
	for (i = 0; i < padding; i++) {
		if (text[payload + i] != i + 1) {
			return ESP_INNER;
		}
	}
	if (next_header == NEXT_HEADER_NONE) {
		return ESP_DUMMY;
	}
	return outer_strip(sa, packet, outer, next_header, text, payload, inner);
}

enum esp_result esp_decapsulate(struct sa *sa, uint8_t *packet, const struct ip *outer, struct esp_packet *inner)
{
	size_t header = outer->upper + (outer->protocol == IPPROTO_UDP ? UDP_HEADER : 0);
	struct transform *transform = &sa->transform;
	size_t text = outer->length - header - ESP_OVERHEAD(transform) + 2;
	uint8_t *esp = packet + header;
	enum esp_result result;
	uint64_t sequence;

	if (sa->exhausted) {
		return ESP_EXPIRED;
	}
	if (outer->length < header + ESP_OVERHEAD(transform) || text % transform->align != 0) {
		sa->counters.malformed_drops++;
		return ESP_MALFORMED;
	}
	if (!replay_complete(&sa->replay, get32(esp + 4), &sequence) || !replay_check(&sa->replay, sequence)) {
		sa->counters.replay_drops++;
		return ESP_REPLAYED;
	}
	if (!transform_open(transform, sequence, sa->replay.esn, esp, text)) {
		sa->counters.integrity_failures++;
		return ESP_INTEGRITY;
	}
	replay_accept(&sa->replay, sequence);
	result = unwrap(sa, packet, outer, esp + ESP_HEADER + transform->iv_length, text, inner);
	if (result == ESP_INNER || result == ESP_CONGESTION) {
		sa->counters.malformed_drops++;
	}
	return result;
}
