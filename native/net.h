/*
 * The file descriptors of a dataplane: the TUN device on the inner side, raw sockets on the outer, the tap.
 * Each function returns a non-blocking descriptor, or -1 with the reason in `error`.
 */
#ifndef LAGOPUS_NET_H_
#define LAGOPUS_NET_H_

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct net_error {
	/* The step that failed. */
	const char *what;
	int number;
	/* The device it was about, or NULL. */
	const char *device;
};

/*
 * Creates the TUN device or attaches to an existing one, sets its MTU and brings it up. It reads and
 * writes packets behind a struct virtio_net_hdr, TCP segments of up to 64 KiB among them.
 */
int net_open_tun(const char *name, uint32_t mtu, bool persist, struct net_error *error);

/* Gives an open TUN device another MTU. False with errno. */
bool net_set_mtu(int tun, uint32_t mtu);

/*
 * Creates a TAP device with this Ethernet address, without IP and ARP, that goes with the descriptor. A device that
 * has the name already is left alone: that is an error.
 */
int net_open_tap(const char *name, const uint8_t *address, struct net_error *error);

/* Sends packets whose outer header is ours, marked so that they are routed past the tunnel. */
int net_open_sender(bool is_ipv6, uint32_t fwmark, struct net_error *error);

/* What is received: an IP protocol in one family. */
struct net_raw {
	uint8_t protocol;
	bool is_ipv6;
};

#define NET_RAW_COUNT 6
extern const struct net_raw net_raw[NET_RAW_COUNT];

/*
 * Receives a protocol's packets: its own copy of ESP in UDP to this port, which an IKE daemon owns. A filter
 * keeps out IKE (the non-ESP marker) and NAT keepalives (RFC 3948). In IPv6 the kernel gives no headers, but
 * what they had (see receive.h).
 */
int net_open_raw(const struct net_raw *raw, uint16_t udp_port, uint32_t fwmark, struct net_error *error);

#endif
