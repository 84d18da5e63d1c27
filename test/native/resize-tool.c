/*
 * What makes packets fit, as a filter: packets in, records out; the second argument is a limit.
 *
 *     mss        the packet, for an MTU
 *     fragment   its fragments, none larger
 *     too-big    the ICMP message, if there is one, for an MTU
 */
#include "records.h"

#include "../../native/fragment.h"
#include "../../native/icmp.h"
#include "../../native/mss.h"

static void put_bytes(uint8_t *bytes, size_t length)
{
	struct iovec part = { bytes, length };

	if (length != 0) {
		put_record(&part, 1);
	}
}

static void put_fragments(const uint8_t *packet, const struct ip *ip, size_t largest)
{
	uint8_t *out = malloc(largest);
	struct fragments fragments;
	size_t length;

	if (fragments_begin(&fragments, packet, ip, largest, 1)) {
		while ((length = fragments_next(&fragments, out)) != 0) {
			put_bytes(out, length);
		}
	}
	free(out);
}

static void resize(const char *mode, uint8_t *bytes, size_t length, uint32_t limit)
{
	uint8_t *message;
	struct ip ip;

	if (!ip_parse(bytes, length, &ip)) {
		return;
	}
	if (strcmp(mode, "mss") == 0) {
		mss_clamp(bytes, &ip, limit);
		put_bytes(bytes, ip.length);
	} else if (strcmp(mode, "fragment") == 0) {
		put_fragments(bytes, &ip, limit);
	} else {
		message = malloc(ICMP_MAX);
		put_bytes(message, icmp_too_big(bytes, length, &ip, limit, message));
		free(message);
	}
}

int main(int argc, char **argv)
{
	uint8_t *bytes;
	size_t length;

	while (argc == 3 && (bytes = get_record(&length)) != NULL) {
		resize(argv[1], bytes, length, (uint32_t)atoi(argv[2]));
		free(bytes);
	}
	return 0;
}
