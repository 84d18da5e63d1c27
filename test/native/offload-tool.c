/*
 * The addon's parts without I/O as a filter, built with the sanitizers: records in, records out.
 *
 *     split      virtio_net_hdr and packet  ->  every packet that comes out
 *     coalesce   packet                     ->  virtio_net_hdr and packet, for every write
 *     decap      outer packet               ->  one byte, enum esp_result; arguments: encryption (0 is AH),
 *                                               and another one for transport mode
 *
 * A record is a big-endian 32-bit length and that many bytes. An empty one ends the input; for
 * coalesce, it flushes.
 */
#include "../../native/bytes.h"
#include "../../native/ah.h"
#include "../../native/esp.h"
#include "../../native/offload.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static void put_record(const struct iovec *parts, int count)
{
	uint8_t header[4];
	size_t total = 0;
	int i;

	for (i = 0; i < count; i++) {
		total += parts[i].iov_len;
	}
	put32(header, (uint32_t)total);
	fwrite(header, 1, sizeof(header), stdout);
	for (i = 0; i < count; i++) {
		fwrite(parts[i].iov_base, 1, parts[i].iov_len, stdout);
	}
}

/* In a block of exactly its size, so that the sanitizer sees every byte read beyond it. */
static uint8_t *get_record(size_t *length)
{
	uint8_t header[4], *bytes;

	if (fread(header, 1, sizeof(header), stdin) != sizeof(header)) {
		return NULL;
	}
	*length = get32(header);
	bytes = malloc(*length ? *length : 1);
	if (!bytes || fread(bytes, 1, *length, stdin) != *length) {
		abort();
	}
	return bytes;
}

static void split(const uint8_t *bytes, size_t length)
{
	struct virtio_net_hdr header;
	struct split state;
	struct ip ip;
	struct iovec part;
	uint8_t *out;

	if (length < sizeof(header)) {
		return;
	}
	memcpy(&header, bytes, sizeof(header));
	if (!ip_parse(bytes + sizeof(header), length - sizeof(header), &ip) ||
	    !split_begin(&state, &header, bytes + sizeof(header), &ip)) {
		return;
	}
	out = malloc(split_largest(&state));
	while ((part.iov_len = split_next(&state, out)) != 0) {
		part.iov_base = out;
		put_record(&part, 1);
	}
	free(out);
}

static void write_out(void *context, const struct iovec *parts, int count)
{
	(void)context;
	put_record(parts, count);
}

static void decap(struct sa *sa, uint8_t *bytes, size_t length)
{
	struct esp_packet inner;
	struct flow_key key;
	uint8_t result = ESP_MALFORMED;
	struct iovec part = { &result, 1 };
	struct ip outer;

	if (ip_parse(bytes, length, &outer) && outer_spi_offset(&outer) != 0 &&
	    (outer.protocol == IPPROTO_AH) == (sa->protocol == IPPROTO_AH)) {
		result = sa->protocol == IPPROTO_AH ? ah_decapsulate(sa, bytes, &outer, &inner)
						    : esp_decapsulate(sa, bytes, &outer, &inner);
	}
	if (result == ESP_OK) {
		ip_flow_key(inner.bytes, &inner.ip, true, &key);
		sa_selectors_match(sa, &key);
	}
	put_record(&part, 1);
}

static struct sa *make_sa(const char *encryption, bool is_transport)
{
	static uint8_t key[36], integrity_key[32];
	struct sa *sa = calloc(1, sizeof(*sa));
	bool gcm = atoi(encryption) == ENCR_AES_GCM_16, ah = atoi(encryption) == 0;

	sa->inbound = true;
	sa->protocol = ah ? IPPROTO_AH : IPPROTO_ESP;
	sa->is_transport = is_transport;
	sa->udp = is_transport && !ah;
	if (!replay_init(&sa->replay, 64, false) ||
	    !transform_init(&sa->transform, true, gcm ? ENCR_AES_GCM_16 : ah ? 0 : ENCR_AES_CBC, key, gcm ? 20 : ah ? 0 : 16,
		    gcm ? 0 : AUTH_HMAC_SHA2_256_128, integrity_key, gcm ? 0 : 32)) {
		abort();
	}
	return sa;
}

int main(int argc, char **argv)
{
	static struct coalescer coalescer = { .write = write_out };
	const char *mode = argc > 1 ? argv[1] : "";
	struct sa *sa = argc > 2 ? make_sa(argv[2], argc > 3) : NULL;
	uint8_t *bytes, **kept = NULL;
	size_t length, count = 0;
	struct ip ip;

	while ((bytes = get_record(&length)) != NULL) {
		if (strcmp(mode, "split") == 0) {
			split(bytes, length);
			free(bytes);
		} else if (strcmp(mode, "decap") == 0 && sa) {
			decap(sa, bytes, length);
			free(bytes);
		} else {
			kept = realloc(kept, (count + 1) * sizeof(*kept));
			kept[count++] = bytes;
			if (length == 0) {
				coalesce_flush(&coalescer);
			} else if (ip_parse(bytes, length, &ip)) {
				coalesce_packet(&coalescer, bytes, &ip);
			}
		}
	}
	coalesce_flush(&coalescer);
	while (count > 0) {
		free(kept[--count]);
	}
	free(kept);
	if (sa) {
		sa_free(sa);
		free(sa);
	}
	return 0;
}
