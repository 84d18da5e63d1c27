/*
 * The packet paths without Node and descriptors, under the sanitizers: SAs of every algorithm, protocol, mode
 * and address family get packets of their peer that are whole, replayed, forged, cut, too long or nonsense.
 * What each one has to become is checked, and that it is counted as that.
 *
 * usage: packet-fuzz SEED MILLISECONDS
 */
#include "fuzz-fragments.h"

#include "../../native/esp.h"

#include <time.h>

static struct {
	unsigned long round_trips, replayed, forged, cut, nonsense, unverified, oversized, refused, fragments;
} done;

static struct reassembler reassembler;

static bool is_reason(enum esp_result result, enum drop_reason reason)
{
	switch (result) {
	case ESP_MALFORMED:
		return reason == DROP_inboundMalformed || reason == DROP_inboundUnknownSpi || reason == DROP_inboundLength;
	case ESP_REPLAYED:
		return reason == DROP_inboundReplayed;
	case ESP_INTEGRITY:
		return reason == DROP_inboundIntegrity;
	case ESP_CONGESTION:
		return reason == DROP_inboundCongestion;
	case ESP_INNER:
		return reason == DROP_inboundInner;
	default:
		return false;
	}
}

/* Whether one reason was counted since, and one of a packet with this result; none if it was not dropped. */
static bool is_told(enum esp_result result, const uint64_t *before)
{
	const uint64_t *after = engine_drop_counts(engine);
	uint64_t all = 0, right = 0;
	int i;

	for (i = 0; i < DROP_COUNT; i++) {
		all += after[i] - before[i];
		right += is_reason(result, (enum drop_reason)i) ? after[i] - before[i] : 0;
	}
	return result == ESP_OK || result == ESP_DUMMY ? all == 0 : all == 1 && right == 1;
}

/* Gives a copy, of exactly its size, and checks that what becomes of it is counted as that. */
static enum esp_result receive(const struct pair *pair, const uint8_t *outer, size_t length, uint8_t *inner,
	size_t *inner_length)
{
	struct sa_counters before = pair->in->counters, *after = &pair->in->counters;
	uint8_t *copy = malloc(length ? length : 1);
	uint64_t dropped[DROP_COUNT];
	struct esp_packet packet = { 0 };
	enum esp_result result;

	if (length > 0) {
		memcpy(copy, outer, length);
	}
	memcpy(dropped, engine_drop_counts(engine), sizeof(dropped));
	result = engine_decapsulate(engine, copy, length, &packet);
	if (result == ESP_OK && inner) {
		memcpy(inner, packet.bytes, packet.length);
		*inner_length = packet.length;
	}
	free(copy);
	if ((result == ESP_OK) != (after->packets == before.packets + 1) ||
	    (result == ESP_REPLAYED) != (after->replay_drops == before.replay_drops + 1) ||
	    (result == ESP_INTEGRITY) != (after->integrity_failures == before.integrity_failures + 1) ||
	    !is_told(result, dropped)) {
		fail("not counted as what it is", pair, (int)result);
	}
	return result;
}

/* Where ESP or AH begins. */
static size_t ipsec_offset(const uint8_t *outer, size_t length)
{
	struct ip ip;

	if (!ip_parse(outer, length, &ip)) {
		abort();
	}
	return outer_spi_offset(&ip) - (ip.protocol == IPPROTO_AH ? 4 : 0);
}

/* Makes the outer header say this length. */
static void set_outer_length(uint8_t *outer, size_t length)
{
	struct ip ip;

	if (ip_parse(outer, length > 60 ? length : MAX_PACKET, &ip)) {
		ip_set_length(outer, &ip, length);
	}
}

/* False if it got through, as the bit was one that nobody looks at. */
static bool forge(const struct pair *pair, uint8_t *outer, size_t length)
{
	/* SPI and what follows; of AH everything. */
	size_t from = ipsec_offset(outer, length), bit;
	uint8_t *copy = malloc(length);
	enum esp_result result;

	memcpy(copy, outer, length);
	bit = from * 8 + below((uint32_t)(length - from) * 8);
	copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
	result = receive(pair, copy, length, NULL, NULL);
	if (result == ESP_OK || result == ESP_DUMMY) {
		fail("a forged packet", pair, (int)result);
	}
	done.forged++;
	/* The outer headers: ESP does not care, AH does where they do not change on the way. */
	memcpy(copy, outer, length);
	copy[below((uint32_t)from)] ^= (uint8_t)(1 << below(8));
	result = receive(pair, copy, length, NULL, NULL);
	free(copy);
	return result != ESP_OK && result != ESP_DUMMY;
}

static void cut(const struct pair *pair, const uint8_t *outer, size_t length)
{
	size_t left = below((uint32_t)length);
	uint8_t *copy = malloc(length);
	enum esp_result result;

	memcpy(copy, outer, length);
	if (below(2)) {
		set_outer_length(copy, left);
	}
	result = receive(pair, copy, left, NULL, NULL);
	if (result == ESP_OK || result == ESP_DUMMY) {
		fail("a truncated packet", pair, (int)result);
	}
	free(copy);
	done.cut++;
}

/* Right SPI, and nothing right behind it; then as if that verified. */
static void unverified(const struct pair *pair, const uint8_t *outer, size_t length)
{
	size_t from = ipsec_offset(outer, length) + (pair->in->protocol == IPPROTO_AH ? 12 : 8);
	uint8_t *copy = malloc(MAX_PACKET);
	size_t total = from + below(below(4) ? 200 : MAX_PACKET - (uint32_t)from);
	enum esp_result result;

	memcpy(copy, outer, from < total ? from : total);
	fill(copy + from, total - from);
	if (pair->in->protocol == IPPROTO_AH && below(4)) {
		/* A length that may be right. */
		memcpy(copy + from - 12, outer + from - 12, 12);
	}
	set_outer_length(copy, total);
	put32(copy + from - 4, random32());
	result = receive(pair, copy, total, NULL, NULL);
	if (result == ESP_OK || result == ESP_DUMMY) {
		fail("a packet of nothing", pair, (int)result);
	}
	/* Whatever it is then: the sanitizers watch. Sequence numbers close to the right ones. */
	put32(copy + from - 4, (uint32_t)pair->in->replay.highest + 1);
	if (below(2) && length > from) {
		memcpy(copy + from, outer + from, length < total ? length - from : total - from);
		copy[from + below((uint32_t)(total - from))] ^= (uint8_t)random32();
	}
	is_forgiving = true;
	receive(pair, copy, total, NULL, NULL);
	is_forgiving = false;
	free(copy);
	/* It may have moved the window. */
	if (pair->out->sequence.next <= pair->in->replay.highest) {
		pair->out->sequence.is_used_up = pair->in->replay.highest == (pair->in->replay.esn ? UINT64_MAX : UINT32_MAX);
		pair->out->sequence.next = pair->in->replay.highest + !pair->out->sequence.is_used_up;
	}
	done.unverified++;
}

/* What a peer with the keys may send: ESP over any text. */
static void nonsense(const struct pair *pair, const uint8_t *outer, size_t length)
{
	struct transform *transform = &pair->out->transform;
	size_t from = ipsec_offset(outer, length), text, total;
	uint8_t *copy, *bytes;
	uint64_t sequence;

	if (pair->in->protocol == IPPROTO_AH || !sequence_take(&pair->out->sequence, &sequence)) {
		return;
	}
	text = ((size_t)below(300) / transform->align + 1) * transform->align;
	total = from + ESP_HEADER + transform->iv_length + text + transform->icv_length;
	copy = malloc(total);
	memcpy(copy, outer, from);
	bytes = copy + from;
	put32(bytes, pair->out->spi);
	put32(bytes + 4, (uint32_t)sequence);
	bytes += ESP_HEADER + transform->iv_length;
	fill(bytes, text);
	if (below(2)) {
		bytes[0] = below(2) ? 0x45 : 0x60;
		put16(bytes + (bytes[0] == 0x45 ? 2 : 4), (uint16_t)below((uint32_t)text + 8));
	}
	if (below(2)) {
		bytes[text - 2] = 0;
		bytes[text - 1] = (const uint8_t[]){ 4, 41, 59, 6, 17, 0, 60, 43 }[below(8)];
	}
	if (!transform_seal(transform, sequence, pair->out->sequence.esn, copy + from, text)) {
		fail("seal", pair, 0);
	}
	set_outer_length(copy, total);
	if (pair->in->udp) {
		put16(copy + from - 4, (uint16_t)(total - from + 8));
	}
	switch (receive(pair, copy, total, NULL, NULL)) {
	case ESP_REPLAYED:
	case ESP_INTEGRITY:
		fail("a sealed packet", pair, 0);
		break;
	default:
		break;
	}
	free(copy);
	done.nonsense++;
}

static void round_trip(struct pair *pair, size_t most)
{
	uint8_t *inner = malloc(MAX_PACKET), *back = malloc(MAX_PACKET), *buffer;
	size_t length = make_packet(pair, inner, most), largest = length > LARGEST ? length : LARGEST, back_length = 0;
	struct esp_packet outer = { 0 };
	enum esp_result result;
	uint64_t lost, left;

	buffer = malloc(SA_HEADROOM + largest + SA_TAILROOM);
	memcpy(buffer + SA_HEADROOM, inner, length);
	if (below(8) == 0 && !pair->out->sequence.is_used_up) {
		/* Lost packets: as many as a window may skip. */
		lost = below(pair->out->sequence.esn && below(8) == 0 ? 1u << 30 : 6000);
		left = (pair->out->sequence.esn ? UINT64_MAX : UINT32_MAX) - pair->out->sequence.next;
		pair->out->sequence.next += lost < left ? lost : left;
	}
	result = engine_encapsulate(engine, pair->out, buffer + SA_HEADROOM, length, largest, &outer);
	if (result == ESP_EXHAUSTED && pair->out->sequence.is_used_up) {
		done.refused++;
	} else if (result == ESP_MALFORMED && length > MAX_PACKET - 200) {
		done.oversized++;
	} else if (result != ESP_OK) {
		fail("encapsulate", pair, (int)result);
	} else {
		if (below(4) == 0) {
			cut(pair, outer.bytes, outer.length);
		}
		if (below(4) == 0 && !forge(pair, outer.bytes, outer.length)) {
			goto out;
		}
		result = receive(pair, outer.bytes, outer.length, back, &back_length);
		if (result != ESP_OK || back_length != length) {
			fail("a whole packet", pair, (int)result);
		}
		/* A transport mode receiver behind NAT mends checksums (RFC 3948, 3.1.2). */
		if (!(pair->in->is_transport && pair->in->udp) && memcmp(back, inner, length) != 0) {
			fail("not the packet that was sent", pair, (int)result);
		}
		done.round_trips++;
		result = receive(pair, outer.bytes, outer.length, NULL, NULL);
		if (pair->has_window ? result != ESP_REPLAYED : result != ESP_OK) {
			fail("a replayed packet", pair, (int)result);
		}
		done.replayed++;
		if (below(4) == 0) {
			nonsense(pair, outer.bytes, outer.length);
		}
		if (below(4) == 0) {
			unverified(pair, outer.bytes, outer.length);
		}
	}
	if (below(8) == 0) {
		done.fragments += fuzz_fragments(&reassembler, inner, length);
	}
out:
	free(buffer);
	free(inner);
	free(back);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	struct engine_callbacks callbacks = {
		.classify = classify,
		.sa_event = on_sa_event,
		.dropped = on_dropped,
		.slice_end = on_slice_end,
	};
	uint64_t end;
	uint32_t suites, i;

	if (argc != 3) {
		fprintf(stderr, "usage: packet-fuzz SEED MILLISECONDS\n");
		return 2;
	}
	random_state = strtoull(argv[1], NULL, 10) * 2 + 1;
	end = now_ms() + strtoull(argv[2], NULL, 10);
	engine = engine_create(&callbacks);
	suites = add_pairs();
	if (!reassembler_allocate(&reassembler, 64, 64)) {
		abort();
	}
	check_holes(&reassembler);
	do {
		for (i = 0; i < pair_count; i++) {
			round_trip(&pairs[i], below(40) == 0 ? MAX_PACKET : LARGEST);
		}
	} while (now_ms() < end);
	reassembler_release(&reassembler);
	engine_close(engine);
	engine_destroy(engine);
	printf("%u suites, %lu round trips, %lu replayed, %lu forged, %lu cut, %lu nonsense, %lu unverified, "
	       "%lu oversized, %lu refused, %lu fragments\n",
		suites, done.round_trips, done.replayed, done.forged, done.cut, done.nonsense, done.unverified,
		done.oversized, done.refused, done.fragments);
	return 0;
}
