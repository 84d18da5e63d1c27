/*
 * The addon's parts without I/O as a filter, built with the sanitizers: records in, records out.
 *
 *     split      virtio_net_hdr and packet  ->  every packet that comes out
 *     coalesce   packet                     ->  virtio_net_hdr and packet, for every write
 *
 * An empty record ends the input; for coalesce, it flushes.
 */
#include "records.h"

#include "../../native/offload.h"

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

int main(int argc, char **argv)
{
	static struct coalescer coalescer = { .write = write_out };
	const char *mode = argc > 1 ? argv[1] : "";
	uint8_t *bytes, **kept = NULL;
	size_t length, count = 0;
	struct ip ip;

	while ((bytes = get_record(&length)) != NULL) {
		if (strcmp(mode, "split") == 0) {
			split(bytes, length);
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
	return 0;
}
