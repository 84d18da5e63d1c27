/* recvmmsg, struct in6_pktinfo */
#define _GNU_SOURCE

#include "receive.h"

#include "bytes.h"
#include "ipv6.h"

#include <linux/in6.h>
#include <stdlib.h>

#define MAX_PACKET 65536
/* A multiple of the cache line, not of a page: the slots' first lines fall into different sets. */
#define STRIDE (RECEIVE_HEADROOM + MAX_PACKET + 448)
#define FLOW_INFO 0x0fffffff

bool receive_allocate(struct receive *receive)
{
	int i;

	receive->slots = malloc((size_t)STRIDE * SLICE);
	receive->control = malloc((size_t)RECEIVE_CONTROL * SLICE);
	if (!receive->slots || !receive->control) {
		return false;
	}
	for (i = 0; i < SLICE; i++) {
		receive->parts[i] = (struct iovec){ receive->slots + (size_t)i * STRIDE + RECEIVE_HEADROOM, MAX_PACKET };
		receive->ipv4[i].msg_hdr = (struct msghdr){ .msg_iov = &receive->parts[i], .msg_iovlen = 1 };
	}
	return true;
}

void receive_release(struct receive *receive)
{
	free(receive->slots);
	free(receive->control);
	receive->slots = receive->control = NULL;
}

int receive_packets(struct receive *receive, int fd, bool is_ipv6)
{
	int i;

	for (i = 0; is_ipv6 && i < SLICE; i++) {
		receive->ipv6[i].msg_hdr = (struct msghdr){
			.msg_name = &receive->from[i],
			.msg_namelen = sizeof(receive->from[i]),
			.msg_iov = &receive->parts[i],
			.msg_iovlen = 1,
			.msg_control = receive->control + (size_t)i * RECEIVE_CONTROL,
			.msg_controllen = RECEIVE_CONTROL,
		};
	}
	return recvmmsg(fd, is_ipv6 ? receive->ipv6 : receive->ipv4, SLICE, MSG_DONTWAIT, NULL);
}

static size_t extension_bytes(const struct cmsghdr *control, uint8_t *protocol)
{
	if (control->cmsg_level != SOL_IPV6) {
		return 0;
	}
	switch (control->cmsg_type) {
	case IPV6_HOPOPTS:
		*protocol = IPPROTO_HOPOPTS;
		break;
	case IPV6_RTHDR:
		*protocol = IPPROTO_ROUTING;
		break;
	case IPV6_DSTOPTS:
		*protocol = IPPROTO_DSTOPTS;
		break;
	default:
		return 0;
	}
	return control->cmsg_len - CMSG_LEN(0);
}

/* The fixed header's fields, as far as they come with the packet. */
static void put_field(const struct cmsghdr *control, uint8_t *header)
{
	struct in6_pktinfo info;
	uint32_t flow;
	int hops;

	if (control->cmsg_level != SOL_IPV6) {
		return;
	}
	if (control->cmsg_type == IPV6_PKTINFO) {
		memcpy(&info, CMSG_DATA(control), sizeof(info));
		memcpy(header + IPV6_DESTINATION, &info.ipi6_addr, sizeof(info.ipi6_addr));
	} else if (control->cmsg_type == IPV6_HOPLIMIT) {
		memcpy(&hops, CMSG_DATA(control), sizeof(hops));
		header[7] = (uint8_t)hops;
	} else if (control->cmsg_type == IPV6_FLOWINFO) {
		memcpy(&flow, CMSG_DATA(control), sizeof(flow));
		put32(header, 6u << 28 | (get32((const uint8_t *)&flow) & FLOW_INFO));
	}
}

static bool put_header(struct msghdr *message, const struct sockaddr_in6 *from, uint8_t protocol, struct iovec *packet)
{
	size_t extensions = 0, length, at = 6;
	uint8_t *header, *next, type = 0;
	struct cmsghdr *control;

	for (control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
		extensions += extension_bytes(control, &type);
	}
	if (message->msg_flags & (MSG_CTRUNC | MSG_TRUNC) || extensions + IPV6_HEADER > RECEIVE_HEADROOM ||
	    extensions + packet->iov_len > UINT16_MAX) {
		return false;
	}
	header = (uint8_t *)packet->iov_base - extensions - IPV6_HEADER;
	next = header + IPV6_HEADER;
	memset(header, 0, IPV6_HEADER);
	header[0] = 0x60;
	put16(header + 4, (uint16_t)(extensions + packet->iov_len));
	memcpy(header + IPV6_SOURCE, &from->sin6_addr, sizeof(from->sin6_addr));
	for (control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
		length = extension_bytes(control, &type);
		if (length == 0) {
			put_field(control, header);
			continue;
		}
		header[at] = type;
		at = (size_t)(next - header);
		memcpy(next, CMSG_DATA(control), length);
		next += length;
	}
	header[at] = protocol;
	*packet = (struct iovec){ header, IPV6_HEADER + extensions + packet->iov_len };
	return true;
}

bool receive_packet(struct receive *receive, int slot, bool is_ipv6, uint8_t protocol, struct iovec *packet)
{
	struct mmsghdr *message = is_ipv6 ? &receive->ipv6[slot] : &receive->ipv4[slot];

	*packet = (struct iovec){ receive->parts[slot].iov_base, message->msg_len };
	return !is_ipv6 || put_header(&message->msg_hdr, &receive->from[slot], protocol, packet);
}
