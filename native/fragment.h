/*
 * Fragments of a packet that is too large: in IPv4 as a router makes them, in IPv6 only of what this host
 * is the source of (RFC 791, 3.2; RFC 8200, 4.5).
 */
#ifndef LAGOPUS_FRAGMENT_H_
#define LAGOPUS_FRAGMENT_H_

#include "ip.h"

#define IPV6_FRAGMENT_HEADER 8u

struct fragments {
	const uint8_t *packet;
	struct ip ip;
	/* What of the packet goes into the last fragment; into the others, the largest multiple of 8 in that. */
	size_t room;
	size_t offset;
	uint32_t identification;
};

/*
 * `identification` is for IPv6; IPv4 packets have their own. False for a packet that may not be fragmented: an
 * IPv4 one with DF, an IPv6 fragment; or if the MTU leaves no room.
 */
bool fragments_begin(struct fragments *fragments, const uint8_t *packet, const struct ip *ip, size_t mtu,
	uint32_t identification);
/* Writes the next fragment, of at most the MTU; 0 when there are no more. The kernel fills in IPv4 checksums. */
size_t fragments_next(struct fragments *fragments, uint8_t *out);

#endif
