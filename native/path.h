/*
 * What fits through a tunnel: the path MTU between the gateways, less what an SA adds.
 *
 * The kernel learns path MTUs from ICMP about what our sockets sent, bounds and ages them (RFC 4301, 8.2.1);
 * it is asked for them. They are unauthenticated, so they are believed down to a floor only.
 */
#ifndef LAGOPUS_PATH_H_
#define LAGOPUS_PATH_H_

#include "outer.h"

#define PATH_UNKNOWN UINT32_MAX

/* A socket that path_mtu() asks with, or -1. It never sends. */
int path_socket(bool is_ipv6);

/* The path MTU to a gateway for packets of this mark; PATH_UNKNOWN without a route. */
uint32_t path_mtu(int fd, const struct address *destination, uint32_t mark);

/* The largest packet that an SA carries in outer ones of `mtu` bytes; 0 when nothing fits. */
size_t path_largest_inner(const struct sa *sa, const uint8_t *packet, const struct ip *ip, uint32_t mtu);

#endif
