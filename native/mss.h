/*
 * The TCP MSS option of connections through a tunnel is held down to what fits through it (RFC 4459, 3.2):
 * hosts behind a gateway that never hear its ICMP still send packets that arrive.
 */
#ifndef LAGOPUS_MSS_H_
#define LAGOPUS_MSS_H_

#include "ip.h"

/* Changes a SYN that asks for more than packets of `mtu` bytes, and its checksum with it. */
void mss_clamp(uint8_t *packet, const struct ip *ip, size_t mtu);

#endif
