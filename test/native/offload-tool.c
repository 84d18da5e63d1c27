/*
 * The addon's parts without I/O as a filter, built with the sanitizers: records in, records out.
 *
 *     split      virtio_net_hdr and packet  ->  every packet that comes out
 *     coalesce   packet                     ->  virtio_net_hdr and packet, for every write
 *     decap      outer IPv4 packet          ->  one byte, enum esp_result
 *
 * A record is a big-endian 32-bit length and that many bytes. An empty one ends the input; for
 * coalesce, it flushes.
 */
#include "../../native/bytes.h"
#include "../../native/esp.h"
#include "../../native/offload.h"

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
	struct iovec part;
	uint8_t *out;

	if (length < sizeof(header)) {
		return;
	}
	memcpy(&header, bytes, sizeof(header));
	length = ipv4_length(bytes + sizeof(header), length - sizeof(header));
	if (length == 0 || !split_begin(&state, &header, bytes + sizeof(header), length)) {
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
	size_t total = ipv4_length(bytes, length), header = (size_t)(bytes[0] & 0x0f) * 4;

	if (total >= header + ESP_HEADER) {
		result = esp_decapsulate(sa, bytes + header, total - header, bytes[1], &inner);
	}
	if (result == ESP_OK) {
		ipv4_flow_key(inner.bytes, inner.length, true, &key);
		esp_selectors_match(sa, &key);
	}
	put_record(&part, 1);
}

static struct sa *make_sa(const char *encryption)
{
	static uint8_t key[36], integrity_key[32];
	struct sa *sa = calloc(1, sizeof(*sa));
	bool gcm = atoi(encryption) == ENCR_AES_GCM_16;

	sa->inbound = true;
	if (!replay_init(&sa->replay, 64, false) ||
	    !transform_init(&sa->transform, true, gcm ? ENCR_AES_GCM_16 : ENCR_AES_CBC, key, gcm ? 20 : 16,
		    gcm ? 0 : AUTH_HMAC_SHA2_256_128, integrity_key, gcm ? 0 : 32)) {
		abort();
	}
	return sa;
}

int main(int argc, char **argv)
{
	static struct coalescer coalescer = { .write = write_out };
	const char *mode = argc > 1 ? argv[1] : "";
	struct sa *sa = argc > 2 ? make_sa(argv[2]) : NULL;
	uint8_t *bytes, **kept = NULL;
	size_t length, count = 0;

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
			} else {
				coalesce_packet(&coalescer, bytes, length);
			}
		}
	}
	coalesce_flush(&coalescer);
	while (count > 0) {
		free(kept[--count]);
	}
	free(kept);
	if (sa) {
		esp_free(sa);
		free(sa);
	}
	return 0;
}
