/*
 * Datagrams from fragments. ESP and AH in transport mode protect whole datagrams (RFC 4303, 3.3.4), but what
 * the kernel gives to a TUN device it has cut to the device's MTU before.
 *
 *     fragments, in any order ─► reassembly: header | data, with room before and after ─► datagram
 */
#ifndef LAGOPUS_REASSEMBLE_H_
#define LAGOPUS_REASSEMBLE_H_

#include "ip.h"

#define REASSEMBLIES 8
#define REASSEMBLY_BLOCKS (65536 / 8)

/* One datagram being put together. */
struct reassembly {
	bool is_used;
	/* The TUN device it comes from: a datagram has one scope. */
	uint8_t device;
	bool is_ipv6;
	uint8_t protocol;
	uint32_t identification;
	struct address source;
	struct address destination;
	uint64_t begun_ms;
	/* Length of the first fragment's headers, which lie right before the data; 0 while it is missing. */
	size_t header;
	/* Of the data, 0 while the last fragment is missing. */
	size_t total;
	/* Where the data that is there ends: none may lie behind the last fragment. */
	size_t furthest;
	/* In blocks of 8 bytes: how many there are, and which. */
	size_t received;
	uint64_t blocks[REASSEMBLY_BLOCKS / 64];
	uint8_t *data;
};

struct reassembler {
	struct reassembly items[REASSEMBLIES];
	uint8_t *buffers;
};

enum reassembly_state { REASSEMBLY_WAITING, REASSEMBLY_WHOLE, REASSEMBLY_BROKEN };

/* False without memory. */
bool reassembler_allocate(struct reassembler *reassembler, size_t headroom, size_t tailroom);
void reassembler_release(struct reassembler *reassembler);

/* What a fragment is a part of, if that was begun and is not too old. */
struct reassembly *reassembler_find(struct reassembler *reassembler, uint8_t device, const uint8_t *packet,
	const struct ip *ip, uint64_t now_ms);
/* The same, or begins; instead of the oldest when there are too many. */
struct reassembly *reassembler_begin(struct reassembler *reassembler, uint8_t device, const uint8_t *packet,
	const struct ip *ip, uint64_t now_ms);

/*
 * Adds a fragment. When the datagram is whole, `datagram` and `ip` are its, in the reassembly's buffer with the
 * room asked for around it, until the next fragment. Overlapping fragments break it (RFC 5722).
 */
enum reassembly_state reassembly_add(struct reassembly *reassembly, const uint8_t *packet, const struct ip *fragment,
	uint8_t **datagram, struct ip *ip);

#endif
