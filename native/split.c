#include "offload.h"

#include "bytes.h"
#include "ipv4.h"

#include <netinet/in.h>

#define TCP_HEADER 20
#define TCP_FLAGS 13
#define TCP_CHECKSUM 16
#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80

bool split_begin(struct split *split, const struct virtio_net_hdr *header, const uint8_t *packet, size_t length)
{
	size_t ip = (size_t)(packet[0] & 0x0f) * 4, tcp;

	*split = (struct split){ .packet = packet, .payload = length };
	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
			split->checksum_start = header->csum_start;
			split->checksum_offset = header->csum_offset;
			return split->checksum_start >= ip &&
			       split->checksum_start + split->checksum_offset + sizeof(uint16_t) <= length;
		}
		return true;
	}
	if (header->gso_type != VIRTIO_NET_HDR_GSO_TCPV4 || header->gso_size == 0 || packet[9] != IPPROTO_TCP ||
	    length < ip + TCP_HEADER) {
		return false;
	}
	tcp = (size_t)(packet[ip + 12] >> 4) * 4;
	if (tcp < TCP_HEADER || length <= ip + tcp) {
		return false;
	}
	split->is_tcp_segmented = true;
	split->header = ip + tcp;
	split->payload = length - split->header;
	split->segment = header->gso_size;
	split->checksum_start = ip;
	split->checksum_offset = TCP_CHECKSUM;
	return true;
}

size_t split_largest(const struct split *split)
{
	return split->is_tcp_segmented && split->payload > split->segment ? split->header + split->segment
									   : split->header + split->payload;
}

static size_t next_whole(struct split *split, uint8_t *out)
{
	size_t start = split->checksum_start;
	uint16_t sum;

	if (split->offset != 0) {
		return 0;
	}
	split->offset = split->payload;
	memcpy(out, split->packet, split->payload);
	if (start != 0) {
		/* The field holds the sum over the pseudo header. */
		sum = ~checksum_add(0, out + start, split->payload - start);
		put16(out + start + split->checksum_offset, sum == 0 ? UINT16_MAX : sum);
	}
	return split->payload;
}

size_t split_next(struct split *split, uint8_t *out)
{
	size_t left = split->payload - split->offset, size, length;
	uint8_t *tcp = out + split->checksum_start;

	if (!split->is_tcp_segmented) {
		return next_whole(split, out);
	}
	if (left == 0) {
		return 0;
	}
	size = left < split->segment ? left : split->segment;
	length = split->header + size;
	memcpy(out, split->packet, split->header);
	memcpy(out + split->header, split->packet + split->header + split->offset, size);
	put16(out + 2, (uint16_t)length);
	put16(out + 4, (uint16_t)(get16(out + 4) + split->offset / split->segment));
	ipv4_set_checksum(out);
	put32(tcp + 4, get32(tcp + 4) + (uint32_t)split->offset);
	if (split->offset > 0) {
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	}
	if (left > size) {
		tcp[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
	}
	put16(tcp + TCP_CHECKSUM, 0);
	put16(tcp + TCP_CHECKSUM, ~checksum_add(checksum_pseudo(out, IPPROTO_TCP, (uint16_t)(length - split->checksum_start)),
					tcp, length - split->checksum_start));
	split->offset += size;
	return length;
}
