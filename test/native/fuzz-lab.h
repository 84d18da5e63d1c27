/*
 * An engine without Node and descriptors, and pairs of SAs of every algorithm that give each other packets.
 * For one program: packet-fuzz.c.
 */
#ifndef LAGOPUS_TEST_FUZZ_LAB_H_
#define LAGOPUS_TEST_FUZZ_LAB_H_

#include "../../native/bytes.h"
#include "../../native/engine.h"
#include "../../native/transform.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

/* A TUN device's MTU. */
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

#endif
