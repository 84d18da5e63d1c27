/*
 * What the sender of a packet that does not fit through a tunnel is told: ICMP "fragmentation needed"
 * (RFC 1191) and ICMPv6 Packet Too Big (RFC 8201).
 */
#ifndef LAGOPUS_ICMP_H_
#define LAGOPUS_ICMP_H_

#include "ip.h"

/* The most that icmp_too_big() writes. */
#define ICMP_MAX IPV6_MIN_MTU

/*
 * Writes the message, from the address the packet was for: it is on the way there that it does not fit.
 * `length` is how many bytes of the packet there are. 0 when there must be no answer (RFC 1122, 3.2.2;
 * RFC 4443, 2.4): to errors, to a later fragment, to or from no single host.
 */
size_t icmp_too_big(const uint8_t *packet, size_t length, const struct ip *ip, uint32_t mtu, uint8_t *out);

#endif
