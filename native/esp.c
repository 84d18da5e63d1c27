#include "esp.h"

#include "bytes.h"

#include <netinet/in.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#define OUTER_TTL 64
#define NEXT_HEADER_IPV4 4
#define NEXT_HEADER_NONE 59
/* Header, IV, the two fixed bytes of the trailer, ICV. */
#define ESP_OVERHEAD(transform) (ESP_HEADER + (size_t)(transform)->iv_length + 2 + (transform)->icv_length)

void esp_free(struct sa *sa)
{
	transform_free(&sa->transform);
	replay_free(&sa->replay);
	free(sa->source_selectors.items);
	free(sa->destination_selectors.items);
	OPENSSL_cleanse(sa, sizeof(*sa));
}

static void raise_event(struct sa *sa, uint32_t event)
{
	if (!(sa->raised & event)) {
		sa->raised |= event;
		sa->pending |= event;
	}
}

static void count(struct sa *sa, size_t length, uint64_t now_ms)
{
	sa->counters.bytes += length;
	sa->counters.packets++;
	sa->counters.last_use_ms = now_ms;
	if (sa->soft.bytes != 0 && sa->counters.bytes >= sa->soft.bytes) {
		raise_event(sa, SA_SOFT_BYTES);
	}
	if (sa->soft.packets != 0 && sa->counters.packets >= sa->soft.packets) {
		raise_event(sa, SA_SOFT_PACKETS);
	}
	if (sa->hard.bytes != 0 && sa->counters.bytes >= sa->hard.bytes) {
		sa->exhausted = true;
		raise_event(sa, SA_HARD_BYTES);
	}
	if (sa->hard.packets != 0 && sa->counters.packets >= sa->hard.packets) {
		sa->exhausted = true;
		raise_event(sa, SA_HARD_PACKETS);
	}
}

void esp_delivered(struct sa *sa, size_t length, uint64_t now_ms)
{
	count(sa, length, now_ms);
}

/* The outer headers, before `esp`; `length` counts from there. */
static uint8_t *put_outer(const struct sa *sa, const uint8_t *inner, uint8_t *esp, size_t *length,
	uint16_t identification)
{
	uint8_t *ip = esp - IPV4_HEADER, *udp = esp - UDP_HEADER;

	if (sa->udp) {
		ip -= UDP_HEADER;
		put16(udp, sa->source_port);
		put16(udp + 2, sa->destination_port);
		put16(udp + 4, (uint16_t)(UDP_HEADER + *length));
		/* RFC 3948, 2.1 */
		put16(udp + 6, 0);
	}
	*length += (size_t)(esp - ip);
	ip[0] = 0x45;
	ip[1] = (sa->copy_dscp_out ? inner[1] & TOS_DSCP : 0) | (sa->copy_ecn ? inner[1] & TOS_ECN : 0);
	put16(ip + 2, (uint16_t)*length);
	put16(ip + 4, identification);
	put16(ip + 6, sa->copy_df ? get16(inner + 6) & IPV4_DF : 0);
	ip[8] = OUTER_TTL;
	ip[9] = sa->udp ? IPPROTO_UDP : IPPROTO_ESP;
	put16(ip + 10, 0);
	memcpy(ip + 12, sa->source.bytes + ADDRESS_IPV4, 4);
	memcpy(ip + 16, sa->destination.bytes + ADDRESS_IPV4, 4);
	return ip;
}

/* With padding that hides how long the packet is. */
static size_t tfc_padded(const struct sa *sa, size_t length, size_t largest)
{
	size_t wanted = sa->tfc_length < largest ? sa->tfc_length : largest;

	return length < wanted ? wanted : length;
}

enum esp_result esp_encapsulate(struct sa *sa, uint8_t *inner, size_t length, size_t largest, uint16_t identification,
	uint64_t now_ms, struct esp_packet *outer)
{
	struct transform *transform = &sa->transform;
	size_t payload = tfc_padded(sa, length, largest);
	size_t padding = (transform->align - (payload + 2) % transform->align) % transform->align, i;
	uint8_t *esp = inner - transform->iv_length - ESP_HEADER, *trailer = inner + payload;
	uint64_t sequence;

	if (sa->exhausted) {
		return ESP_EXHAUSTED;
	}
	if (ESP_OVERHEAD(transform) + payload + padding + IPV4_HEADER + UDP_HEADER > UINT16_MAX) {
		return ESP_MALFORMED;
	}
	if (!sequence_take(&sa->sequence, &sequence)) {
		raise_event(sa, SA_SEQUENCE_OVERFLOW);
		return ESP_EXHAUSTED;
	}
	outer->length = ESP_OVERHEAD(transform) + payload + padding;
	/* Before the payload is encrypted: it reads the inner header. */
	outer->bytes = put_outer(sa, inner, esp, &outer->length, identification);
	put32(esp, sa->spi);
	put32(esp + 4, (uint32_t)sequence);
	memset(inner + length, 0, payload - length);
	for (i = 1; i <= padding; i++) {
		*trailer++ = (uint8_t)i;
	}
	*trailer++ = (uint8_t)padding;
	*trailer = NEXT_HEADER_IPV4;
	if (!transform_seal(transform, sequence, sa->sequence.esn, esp, payload + padding + 2)) {
		return ESP_INTEGRITY;
	}
	count(sa, length, now_ms);
	return ESP_OK;
}

/* Finds the inner packet in what was decrypted. */
static enum esp_result unwrap(struct sa *sa, uint8_t *text, size_t length, uint8_t outer_tos, struct esp_packet *inner)
{
	uint8_t padding = text[length - 2], next_header = text[length - 1], ecn, tos;
	size_t i, payload;

	if ((size_t)padding + 2 > length) {
		return ESP_MALFORMED;
	}
	payload = length - 2 - padding;
	for (i = 0; i < padding; i++) {
		if (text[payload + i] != i + 1) {
			return ESP_MALFORMED;
		}
	}
	if (next_header == NEXT_HEADER_NONE) {
		return ESP_DUMMY;
	}
	inner->bytes = text;
	/* What follows the packet is traffic flow confidentiality padding (RFC 4303, 2.7). */
	inner->length = next_header == NEXT_HEADER_IPV4 ? ipv4_length(text, payload) : 0;
	if (inner->length == 0) {
		return ESP_MALFORMED;
	}
	tos = text[1];
	if (sa->copy_dscp_in) {
		tos = (outer_tos & TOS_DSCP) | (tos & TOS_ECN);
	}
	if (sa->copy_ecn) {
		if (!ecn_decapsulate(tos & TOS_ECN, outer_tos & TOS_ECN, &ecn)) {
			return ESP_CONGESTION;
		}
		tos = (tos & TOS_DSCP) | ecn;
	}
	if (tos != text[1]) {
		ipv4_set_tos(text, tos);
	}
	return ESP_OK;
}

enum esp_result esp_decapsulate(struct sa *sa, uint8_t *esp, size_t length, uint8_t outer_tos,
	struct esp_packet *inner)
{
	struct transform *transform = &sa->transform;
	size_t text = length - ESP_OVERHEAD(transform) + 2;
	enum esp_result result;
	uint64_t sequence;

	if (sa->exhausted) {
		return ESP_EXHAUSTED;
	}
	if (length < ESP_OVERHEAD(transform) || text % transform->align != 0) {
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
	result = unwrap(sa, esp + ESP_HEADER + transform->iv_length, text, outer_tos, inner);
	if (result == ESP_MALFORMED || result == ESP_CONGESTION) {
		sa->counters.malformed_drops++;
	}
	return result;
}

static bool selectors_match(const struct selectors *list, const struct address *address, uint16_t port,
	const struct flow_key *key)
{
	const struct selector *s;
	uint32_t i;

	for (i = 0; i < list->count; i++) {
		s = &list->items[i];
		if (s->is_ipv6 != key->is_ipv6 || !address_in_range(address, &s->first, &s->last) ||
		    (s->protocol != 0 && s->protocol != key->protocol)) {
			continue;
		}
		if (s->first_port == 0 && s->last_port == UINT16_MAX) {
			return true;
		}
		/* OPAQUE matches packets without ports, and only them. */
		if (s->first_port > s->last_port ? !key->has_ports
						 : key->has_ports && port >= s->first_port && port <= s->last_port) {
			return true;
		}
	}
	return false;
}

bool esp_selectors_match(const struct sa *sa, const struct flow_key *key)
{
	return selectors_match(&sa->source_selectors, &key->source, key->source_port, key) &&
	       selectors_match(&sa->destination_selectors, &key->destination, key->destination_port, key);
}
