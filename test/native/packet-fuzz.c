/*
 * The packet paths without Node and descriptors, under the sanitizers: SAs of every algorithm, protocol, mode
 * and address family get packets of their peer that are whole, replayed, forged, cut, too long or nonsense.
 * What each one has to become is checked, and that it is counted as that.
 *
 * usage: packet-fuzz SEED MILLISECONDS
 */
#include "../../native/bytes.h"
#include "../../native/engine.h"
#include "../../native/esp.h"
#include "../../native/transform-internal.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LARGEST 1400
#define MAX_PACKET 65535
#define MAX_PAIRS 512

/* Both ends of one SA. */
struct pair {
	struct sa *out;
	struct sa *in;
	bool has_window;
};

static struct engine *engine;
static struct pair pairs[MAX_PAIRS];
static uint32_t pair_count;
static uint64_t random_state;

static struct {
	unsigned long round_trips, replayed, forged, cut, nonsense, unverified, oversized, refused;
} done;

/* No descriptor is ever open. */
int uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd) { (void)loop, (void)poll, (void)fd; abort(); }
int uv_poll_start(uv_poll_t *poll, int events, uv_poll_cb cb) { (void)poll, (void)events, (void)cb; abort(); }
int uv_poll_stop(uv_poll_t *poll) { (void)poll; abort(); }
void uv_close(uv_handle_t *handle, uv_close_cb cb) { (void)handle, (void)cb; abort(); }

/* Linked in front of the real ones (--wrap): what lies behind the integrity check is to be reached too. */
static bool is_forgiving;

bool __real_transform_check_icv(struct transform *transform, const struct chunk *chunks, size_t count,
	uint64_t sequence, bool esn, const uint8_t *icv);
bool __wrap_transform_check_icv(struct transform *transform, const struct chunk *chunks, size_t count,
	uint64_t sequence, bool esn, const uint8_t *icv);
bool __real_transform_open(struct transform *transform, uint64_t sequence, bool esn, uint8_t *esp, size_t length);
bool __wrap_transform_open(struct transform *transform, uint64_t sequence, bool esn, uint8_t *esp, size_t length);

bool __wrap_transform_check_icv(struct transform *transform, const struct chunk *chunks, size_t count,
	uint64_t sequence, bool esn, const uint8_t *icv)
{
	return __real_transform_check_icv(transform, chunks, count, sequence, esn, icv) || is_forgiving;
}

bool __wrap_transform_open(struct transform *transform, uint64_t sequence, bool esn, uint8_t *esp, size_t length)
{
	return __real_transform_open(transform, sequence, esn, esp, length) || is_forgiving;
}

static void fail(const char *what, const struct pair *pair, int result)
{
	fprintf(stderr, "%s: result %d, SA %u to %u, encryption %u, integrity %u key bytes, %s%s%s%s, window %u\n", what,
		result, pair->out->spi, pair->in->spi, pair->out->transform.encryption_key_length,
		pair->out->transform.integrity_key_length, pair->in->protocol == IPPROTO_AH ? "AH" : "ESP",
		pair->in->is_transport ? " transport" : "", pair->in->udp ? " UDP" : "",
		pair->in->replay.esn ? " ESN" : "", pair->in->replay.window);
	abort();
}

static uint32_t random32(void)
{
	/* xorshift64* */
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * UINT64_C(2685821657736338717)) >> 32);
}

/* 0 to n - 1. */
static uint32_t below(uint32_t n)
{
	return (uint32_t)(((uint64_t)random32() * n) >> 32);
}

static void fill(uint8_t *bytes, size_t length)
{
	while (length-- > 0) {
		*bytes++ = (uint8_t)random32();
	}
}

static struct verdict classify(void *context, const struct flow_key *key)
{
	(void)context, (void)key;
	return (struct verdict){ .action = FLOW_PASS };
}

static void on_sa_event(void *context, struct sa *sa, uint32_t event)
{
	(void)context, (void)sa, (void)event;
}

static void on_dropped(void *context, enum drop_reason reason, const struct drop_packet *packet, uint64_t left_out)
{
	(void)context, (void)reason, (void)packet, (void)left_out;
}

static void on_slice_end(void *context)
{
	(void)context;
}

static struct address random_address(bool is_ipv6)
{
	uint8_t bytes[16] = { 0x20, 0x01, 0x0d, 0xb8 };

	fill(bytes + 4, 12);
	return is_ipv6 ? address_ipv6(bytes) : address_ipv4(bytes + 12);
}

static struct selectors any_selectors(void)
{
	struct selectors any = { .items = calloc(2, sizeof(*any.items)), .count = 2 };
	int i;

	for (i = 0; i < 2; i++) {
		any.items[i].is_ipv6 = i == 1;
		any.items[i].last_port = UINT16_MAX;
		memset(&any.items[i].last, 0xff, sizeof(any.items[i].last));
		if (i == 0) {
			any.items[i].first = address_ipv4((const uint8_t[4]){ 0 });
			any.items[i].last = address_ipv4((const uint8_t[4]){ 255, 255, 255, 255 });
		}
	}
	return any;
}

static void add_sa(struct sa *sa, bool inbound, const uint8_t *keys, const uint32_t *algorithms)
{
	sa->inbound = inbound;
	sa->source_selectors = any_selectors();
	sa->destination_selectors = any_selectors();
	if (!transform_init(&sa->transform, inbound, algorithms[0], keys, algorithms[1], algorithms[2],
		    keys + TRANSFORM_MAX_KEY, algorithms[3]) ||
	    !sad_add(engine_sad(engine), sa)) {
		abort();
	}
}

/* One pair of an algorithm, in everything else as chance has it. */
static void add_pair(const uint32_t *algorithms)
{
	static const uint32_t windows[] = { 0, 1, 32, 64, 65, 4096 };
	struct pair *pair = &pairs[pair_count++];
	struct sa *out = calloc(1, sizeof(*out)), *in = calloc(1, sizeof(*in));
	bool is_ipv6 = below(2), esn = below(2);
	uint8_t keys[2 * TRANSFORM_MAX_KEY];
	uint32_t window = windows[below(6)];
	uint64_t first = 1;

	if (pair_count > MAX_PAIRS || !out || !in) {
		abort();
	}
	fill(keys, sizeof(keys));
	if (esn) {
		window = window ? window : 64;
		first = (uint64_t)below(3) << 32 | (below(2) ? UINT32_MAX - below(200) : 1 + below(200));
	}
	if (below(8) == 0) {
		/* Soon used up. */
		first = esn ? UINT64_MAX - below(20000) : UINT32_MAX - below(20000);
	}
	out->protocol = algorithms[0] == ENCR_NONE ? IPPROTO_AH : IPPROTO_ESP;
	out->is_transport = below(2);
	out->spi = 256 + pair_count;
	out->source = random_address(is_ipv6);
	out->destination = random_address(is_ipv6);
	out->udp = out->protocol == IPPROTO_ESP && below(3) == 0;
	out->source_port = out->destination_port = 4500;
	out->copy_df = below(2);
	out->copy_ecn = below(2);
	out->copy_dscp_out = below(2);
	*in = *out;
	in->copy_dscp_in = out->copy_dscp_out && below(2);
	out->tfc_length = out->is_transport || out->protocol == IPPROTO_AH || below(2) ? 0 : below(2000);
	sequence_init(&out->sequence, first, esn);
	sequence_init(&in->sequence, 1, false);
	replay_init(&in->replay, window, esn);
	replay_import(&in->replay, first - 1, keys, 0);
	add_sa(out, false, keys, algorithms);
	add_sa(in, true, keys, algorithms);
	*pair = (struct pair){ out, in, window > 0 };
}

/* Every pair of algorithms there is; that none but an AEAD encrypts without integrity. */
static uint32_t add_pairs(void)
{
	static const uint8_t key[TRANSFORM_MAX_KEY] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18 };
	uint32_t algorithms[4], count = 0;
	struct transform transform;

	for (algorithms[0] = 0; algorithms[0] < 40; algorithms[0]++) {
		for (algorithms[1] = 0; algorithms[1] <= 40; algorithms[1]++) {
			for (algorithms[2] = 0; algorithms[2] < 20; algorithms[2]++) {
				for (algorithms[3] = 0; algorithms[3] <= TRANSFORM_MAX_KEY; algorithms[3] += 4) {
					transform = (struct transform){ 0 };
					if (transform_init(&transform, false, algorithms[0], key, algorithms[1], algorithms[2],
						    key, algorithms[3])) {
						if (algorithms[2] == AUTH_NONE && !transform.is_aead) {
							abort();
						}
						add_pair(algorithms);
						add_pair(algorithms);
						count++;
					}
					transform_free(&transform);
				}
			}
		}
	}
	return count;
}

/* A packet that the pair may carry, in `packet`. */
static size_t make_packet(const struct pair *pair, uint8_t *packet, size_t most)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, 253 };
	bool is_ipv6 = pair->out->is_transport ? !address_is_ipv4(&pair->out->source) : below(2);
	struct address source = random_address(is_ipv6), destination = random_address(is_ipv6);
	size_t header = is_ipv6 ? 40 : 20, length;
	uint32_t sum = 0, i;

	if (pair->out->is_transport) {
		source = pair->out->source;
		destination = pair->out->destination;
	}
	length = header + 8 + below(below(2) ? 64 : (uint32_t)(most - header - 8));
	if (most == MAX_PACKET && below(2)) {
		length = MAX_PACKET - below(150);
	}
	fill(packet, length);
	if (is_ipv6) {
		packet[0] = 0x60 | (packet[0] & 0x0f);
		put16(packet + 4, (uint16_t)(length - header));
		packet[6] = protocols[below(4)];
		packet[7] = 64;
		memcpy(packet + 8, source.bytes, 16);
		memcpy(packet + 24, destination.bytes, 16);
		return length;
	}
	packet[0] = 0x45;
	put16(packet + 2, (uint16_t)length);
	/* With 0 the kernel would choose one, which AH does beforehand. */
	put16(packet + 4, (uint16_t)(1 + below(UINT16_MAX)));
	put16(packet + 6, below(2) ? 0x4000 : 0);
	packet[8] = 64;
	packet[9] = protocols[below(4)];
	put16(packet + 10, 0);
	memcpy(packet + 12, source.bytes + ADDRESS_IPV4, 4);
	memcpy(packet + 16, destination.bytes + ADDRESS_IPV4, 4);
	for (i = 0; i < header; i += 2) {
		sum += get16(packet + i);
	}
	sum = (sum & 0xffff) + (sum >> 16);
	put16(packet + 10, (uint16_t)~(sum + (sum >> 16)));
	return length;
}

/* Everything that says why packets were dropped. */
static uint64_t drops(const struct sa *sa)
{
	const uint64_t *statistics = (const uint64_t *)engine_statistics(engine);
	const struct sa_counters *c = &sa->counters;
	uint64_t sum = c->replay_drops + c->integrity_failures + c->selector_drops + c->malformed_drops;
	size_t i;

	for (i = 0; i < sizeof(struct engine_statistics) / sizeof(uint64_t); i++) {
		sum += statistics[i];
	}
	for (i = 0; i < DROP_COUNT; i++) {
		sum += engine_drop_counts(engine)[i];
	}
	return sum;
}

/* Gives a copy, of exactly its size, and checks that what becomes of it is counted as that. */
static enum esp_result receive(const struct pair *pair, const uint8_t *outer, size_t length, uint8_t *inner,
	size_t *inner_length)
{
	struct sa_counters before = pair->in->counters, *after = &pair->in->counters;
	uint8_t *copy = malloc(length ? length : 1);
	uint64_t dropped = drops(pair->in);
	struct esp_packet packet = { 0 };
	enum esp_result result;

	if (length > 0) {
		memcpy(copy, outer, length);
	}
	result = engine_decapsulate(engine, copy, length, &packet);
	if (result == ESP_OK && inner) {
		memcpy(inner, packet.bytes, packet.length);
		*inner_length = packet.length;
	}
	free(copy);
	if ((result == ESP_OK) != (after->packets == before.packets + 1) ||
	    (result == ESP_REPLAYED) != (after->replay_drops == before.replay_drops + 1) ||
	    (result == ESP_INTEGRITY) != (after->integrity_failures == before.integrity_failures + 1) ||
	    (result != ESP_OK && drops(pair->in) == dropped)) {
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
	do {
		for (i = 0; i < pair_count; i++) {
			round_trip(&pairs[i], below(40) == 0 ? MAX_PACKET : LARGEST);
		}
	} while (now_ms() < end);
	engine_close(engine);
	engine_destroy(engine);
	printf("%u suites, %lu round trips, %lu replayed, %lu forged, %lu cut, %lu nonsense, %lu unverified, "
	       "%lu oversized, %lu refused\n",
		suites, done.round_trips, done.replayed, done.forged, done.cut, done.nonsense, done.unverified,
		done.oversized, done.refused);
	return 0;
}
