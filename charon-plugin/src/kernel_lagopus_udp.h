/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_udp kernel_lagopus_udp
 * @{ @ingroup kernel_lagopus
 *
 * UDP-encapsulated ESP and IKE arrive at the same port. The dataplane gets
 * copies of its own, so charon's socket is relieved of what charon would only
 * throw away: under load that would cost it IKE messages.
 */

#ifndef KERNEL_LAGOPUS_UDP_H_
#define KERNEL_LAGOPUS_UDP_H_

#include <library.h>

/**
 * Let only IKE messages through to a UDP socket: those that start with the
 * non-ESP marker (RFC 3948, 2.2). ESP and NAT keepalives are dropped.
 *
 * @param fd		IPv4 or IPv6 UDP socket
 * @return			FALSE if the kernel does not take the filter
 */
bool udp_keep_only_ike(int fd);

#endif /** KERNEL_LAGOPUS_UDP_H_ @}*/
