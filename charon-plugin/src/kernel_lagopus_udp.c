/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_udp.h"

#include <linux/filter.h>
#include <sys/socket.h>

/** Filters on UDP sockets see packets from the UDP header on */
#define UDP_HEADER_LEN 8

/** Four zero bytes where the SPI of ESP would be */
#define NON_ESP_MARKER_LEN 4

/*
 * Described in header.
 */
bool udp_keep_only_ike(int fd)
{
	struct sock_filter code[] = {
		/* shorter than the marker: a NAT keepalive */
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K,
				 UDP_HEADER_LEN + NON_ESP_MARKER_LEN, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, UDP_HEADER_LEN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		/* keep all of it */
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		/* drop it */
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {
		.len = countof(code),
		.filter = code,
	};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
					  sizeof(program)) == 0;
}
