#include "offload.h"

#include "bytes.h"

#include <netinet/in.h>

#define TCP_HEADER 20u
#define TCP_FLAGS 13
#define TCP_CHECKSUM 16
#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80

bool split_begin(struct split *split, const struct virtio_net_hdr *header, const uint8_t *packet, const struct ip *ip)
{
	uint8_t type = ip->is_ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	size_t tcp;

	*split = (struct split){ .packet = packet, .ip = *ip, .payload = ip->length };
	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
			split->checksum_start = header->csum_start;
			split->checksum_offset = header->csum_offset;
			return split->checksum_start >= ip->upper &&
			       split->checksum_start + split->checksum_offset + sizeof(uint16_t) <= ip->length;
		}
		return true;
	}
	if (header->gso_type != type || header->gso_size == 0 || ip->protocol != IPPROTO_TCP || ip->is_later_fragment ||
	    ip->length < ip->upper + TCP_HEADER) {
		return false;
	}
	tcp = (size_t)(packet[ip->upper + 12] >> 4) * 4;
	if (tcp < TCP_HEADER || ip->length <= ip->upper + tcp) {
		return false;
	}
	split->is_tcp_segmented = true;
	split->header = ip->upper + tcp;
	split->payload = ip->length - split->header;
	split->segment = header->gso_size;
	split->checksum_start = ip->upper;
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
	ip_set_length(out, &split->ip, length);
	if (!split->ip.is_ipv6) {
		put16(out + 4, (uint16_t)(get16(out + 4) + split->offset / split->segment));
		ipv4_set_checksum(out);
	}
	put32(tcp + 4, get32(tcp + 4) + (uint32_t)split->offset);
	if (split->offset > 0) {
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	}
	if (left > size) {
		tcp[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
	}
	put16(tcp + TCP_CHECKSUM, 0);
	length -= split->checksum_start;
	put16(tcp + TCP_CHECKSUM,
		~checksum_add(ip_pseudo_sum(out, &split->ip, IPPROTO_TCP, (uint32_t)length), tcp, length));
	split->offset += size;
	return split->header + size;
}
