/*
 * What a slice receives from a raw socket: whole packets. An IPv6 raw socket gives no header (RFC 3542), so
 * it is put together again from what comes with the packet, extensions included.
 */
#ifndef LAGOPUS_RECEIVE_H_
#define LAGOPUS_RECEIVE_H_

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Room for an IPv6 header and extensions in front of what is received; longer ones are dropped. */
#define RECEIVE_HEADROOM 1024
#define RECEIVE_CONTROL 1280
/* Packets per slice, on either path: a few hundred microseconds of work. */
#define SLICE 64

struct receive {
	uint8_t *slots;
	struct iovec parts[SLICE];
	struct mmsghdr ipv4[SLICE];
	struct mmsghdr ipv6[SLICE];
	struct sockaddr_in6 from[SLICE];
	uint8_t *control;
};

/* False without memory. */
bool receive_allocate(struct receive *receive);
void receive_release(struct receive *receive);

/* Up to SLICE packets; their number, or less than 1. */
int receive_packets(struct receive *receive, int fd, bool is_ipv6);

/* The packet in a slot, of this upper protocol; false if it has too much in front. */
bool receive_packet(struct receive *receive, int slot, bool is_ipv6, uint8_t protocol, struct iovec *packet);

#endif
