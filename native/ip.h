/*
 * Packets of either family: where the upper layer is, what a selector looks at, and the field that
 * has DSCP and ECN.
 */
#ifndef LAGOPUS_IP_H_
#define LAGOPUS_IP_H_

#include "ipv4.h"
#include "ipv6.h"

#define IP_MAX_HEADER (IPV6_HEADER > IPV4_HEADER ? IPV6_HEADER : IPV4_HEADER)

/* A well-formed packet, taken apart. Offsets count from its first byte. */
struct ip {
	bool is_ipv6;
	/* DSCP and ECN. */
	uint8_t tos;
	/* Part of a datagram, or marked like one; a later part has no upper-layer header. */
	bool is_fragment;
	bool is_later_fragment;
	/*
	 * The upper layer: what follows the header, its options, and the extension headers that can be stepped
	 * over. An extension header that is cut off counts as one.
	 */
	uint8_t protocol;
	/* Of the byte that names it, and of what it names. */
	uint16_t protocol_at;
	uint16_t upper;
	/* Of the packet; there may be more bytes behind it. */
	uint32_t length;
};

/* False if there is no well-formed packet at the start of these bytes. */
bool ip_parse(const uint8_t *bytes, size_t length, struct ip *ip);

/* Its `device` is 0. */
void ip_flow_key(const uint8_t *packet, const struct ip *ip, bool inbound, struct flow_key *key);

struct address ip_source(const uint8_t *packet, const struct ip *ip);
struct address ip_destination(const uint8_t *packet, const struct ip *ip);

/* Changes the DSCP and ECN field, and an IPv4 header's checksum with it. */
void ip_set_tos(uint8_t *packet, const struct ip *ip, uint8_t tos);

/* After the packet's length changed. An IPv4 header's checksum is left wrong. */
void ip_set_length(uint8_t *packet, const struct ip *ip, size_t length);

/* Sum over the pseudo header of what has this protocol and length. */
uint16_t ip_pseudo_sum(const uint8_t *packet, const struct ip *ip, uint8_t protocol, uint32_t length);

/*
 * Where ESP or AH belongs in transport mode (RFC 4302, 3.1.1; RFC 4303, 3.1.1): behind what each node on the
 * way looks at. `at` is the offset of the byte that names what is there now. Not for fragments.
 */
struct ip_place {
	uint16_t offset;
	uint16_t at;
};
struct ip_place ip_transport_place(const uint8_t *packet, const struct ip *ip);

#endif
