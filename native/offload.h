/*
 * TCP segmentation between the TUN device, which gives and takes segments of up to 64 KiB, and the
 * tunnel, which carries packets of the path's size. Both directions give exactly the packets the
 * kernel itself would have.
 *
 *     tun ─ 64 KiB segment ─► split: packets ─► encapsulate
 *     decapsulate ─► packets of one flow, in order ─► coalescer: one segment ─► tun
 */
#ifndef LAGOPUS_OFFLOAD_H_
#define LAGOPUS_OFFLOAD_H_

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ip.h"

/* A packet read from the TUN device on its way through split_next(). */
struct split {
	const uint8_t *packet;
	struct ip ip;
	size_t header;
	size_t payload;
	size_t segment;
	size_t offset;
	/* Where a checksum is to be completed, 0 for none. */
	size_t checksum_start;
	size_t checksum_offset;
	bool is_tcp_segmented;
};

/* False if the header does not describe the packet. */
bool split_begin(struct split *split, const struct virtio_net_hdr *header, const uint8_t *packet, const struct ip *ip);
/* Length of the largest packet that will come out. */
size_t split_largest(const struct split *split);
/* Writes the next packet with its checksums complete; 0 when there are no more. */
size_t split_next(struct split *split, uint8_t *out);

#define COALESCE_FLOWS 8
#define COALESCE_PACKETS 48

/* One segment being put together: a header and payloads, each still where it was decrypted. */
struct coalesced {
	uint32_t count;
	bool is_closed;
	uint8_t *packet;
	struct ip ip;
	size_t header;
	size_t total;
	size_t segment;
	uint32_t next_sequence;
	uint16_t next_identification;
	struct virtio_net_hdr offload;
	struct iovec parts[1 + COALESCE_PACKETS];
};

struct coalescer {
	/* Called with the parts of what is to be written, a struct virtio_net_hdr first. */
	void (*write)(void *context, const struct iovec *parts, int count);
	void *context;
	uint32_t used;
	struct coalesced flows[COALESCE_FLOWS];
};

/* Takes a packet, whose bytes must stay where they are until the next flush. */
void coalesce_packet(struct coalescer *coalescer, uint8_t *packet, const struct ip *ip);
void coalesce_flush(struct coalescer *coalescer);

#endif
