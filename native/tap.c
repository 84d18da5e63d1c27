#include "tap.h"

#include "bytes.h"

#include <errno.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

/* The first byte of every address here: locally administered, of one station. */
#define LOCAL 0x02

struct tap {
	int fd;
};

struct tap *tap_open(const char *name, struct net_error *error)
{
	/* Neither of the destinations. */
	static const uint8_t own[ETH_ALEN] = { LOCAL };
	struct tap *tap = malloc(sizeof(*tap));

	if (!tap) {
		*error = (struct net_error){ .what = "allocate the tap", .number = ENOMEM };
		return NULL;
	}
	tap->fd = net_open_tap(name, own, error);
	if (tap->fd < 0) {
		free(tap);
		return NULL;
	}
	return tap;
}

void tap_close(struct tap *tap)
{
	if (tap) {
		close(tap->fd);
		free(tap);
	}
}

bool tap_write(struct tap *tap, enum tap_direction direction, uint32_t spi, const uint8_t *packet, size_t length)
{
	uint8_t header[ETH_HLEN] = { LOCAL, (uint8_t)direction, [ETH_ALEN] = LOCAL };
	struct iovec parts[] = { { header, sizeof(header) }, { (void *)packet, length } };

	put32(header + ETH_ALEN + 2, spi);
	put16(header + 2 * ETH_ALEN, packet[0] >> 4 == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	return writev(tap->fd, parts, 2) >= 0;
}
