#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/in6.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Enough for what arrives while JavaScript collects garbage. */
#define SOCKET_BUFFER (8 << 20)
#define TUN_QUEUE 4096
/* Of what nobody reads. */
#define TAP_QUEUE 1
/* The largest the kernel gives a TAP device. */
#define TAP_MTU (65535 - ETH_HLEN)

static int fail(int fd, const char *what, struct net_error *error)
{
	error->what = what;
	error->number = errno;
	error->device = NULL;
	if (fd >= 0) {
		close(fd);
	}
	return -1;
}

/* To 1, where that is possible: there may be no IPv6, or, in a container, no writing of settings. */
static void set_ipv6(const char *name, const char *setting)
{
	char path[64 + IFNAMSIZ];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, setting);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "1", 1) < 0) {
			errno = 0;
		}
		close(fd);
	}
}

static bool configure_link(const char *name, uint32_t mtu, int queue, short flags, const char **what)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), saved;
	bool ok;

	memcpy(request.ifr_name, name, IFNAMSIZ);
	*what = "set the MTU of the device";
	request.ifr_mtu = (int)mtu;
	ok = ioctl(fd, SIOCSIFMTU, &request) == 0;
	if (ok) {
		*what = "set the queue length of the device";
		request.ifr_qlen = queue;
		ok = ioctl(fd, SIOCSIFTXQLEN, &request) == 0;
	}
	if (ok) {
		*what = "bring the device up";
		ok = ioctl(fd, SIOCGIFFLAGS, &request) == 0;
		request.ifr_flags |= (short)(IFF_UP | flags);
		ok = ok && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
	}
	saved = errno;
	close(fd);
	errno = saved;
	return ok;
}

bool net_set_mtu(int tun, uint32_t mtu)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), saved;
	bool ok;

	/* Its name of now. */
	ok = fd >= 0 && ioctl(tun, TUNGETIFF, &request) == 0;
	request.ifr_mtu = (int)mtu;
	ok = ok && ioctl(fd, SIOCSIFMTU, &request) == 0;
	saved = errno;
	if (fd >= 0) {
		close(fd);
	}
	errno = saved;
	return ok;
}

static int open_device(const char *name, struct ifreq *request, struct net_error *error)
{
	int fd;

	if (strlen(name) >= IFNAMSIZ) {
		errno = EINVAL;
		return fail(-1, "name the device", error);
	}
	strcpy(request->ifr_name, name);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? fail(fd, "open /dev/net/tun", error) : fd;
}

int net_open_tun(const char *name, uint32_t mtu, bool persist, struct net_error *error)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open_device(name, &request, error), header = sizeof(struct virtio_net_hdr);
	const char *what;

	if (fd < 0) {
		return fd;
	}
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		return fail(fd, "create or attach to the TUN device", error);
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0) {
		return fail(fd, "set the offloads of the TUN device", error);
	}
	if (ioctl(fd, TUNSETPERSIST, persist ? 1 : 0) < 0) {
		return fail(fd, "make the TUN device persistent", error);
	}
	/*
	 * No link-local address (IN6_ADDR_GEN_MODE_NONE), from which the kernel would solicit routers through tunnels.
	 * Where it cannot be set, that goes on: no policy lets it through but one for ::/0.
	 */
	set_ipv6(request.ifr_name, "addr_gen_mode");
	if (!configure_link(request.ifr_name, mtu, TUN_QUEUE, 0, &what)) {
		return fail(fd, what, error);
	}
	return fd;
}

int net_open_tap(const char *name, const uint8_t *address, struct net_error *error)
{
	struct ifreq request = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL) };
	int fd = open_device(name, &request, error);
	const char *what;

	if (fd < 0) {
		return fd;
	}
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		return fail(fd, errno == EBUSY ? "create the tap, another device has its name" : "create the tap", error);
	}
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, address, ETH_ALEN);
	if (ioctl(fd, SIOCSIFHWADDR, &request) < 0) {
		return fail(fd, "set the address of the tap", error);
	}
	/* Where it cannot be set, the kernel multicasts to nobody. */
	set_ipv6(request.ifr_name, "disable_ipv6");
	if (!configure_link(request.ifr_name, TAP_MTU, TAP_QUEUE, IFF_NOARP, &what)) {
		return fail(fd, what, error);
	}
	return fd;
}

const struct net_raw net_raw[NET_RAW_COUNT] = {
	{ IPPROTO_ESP, false }, { IPPROTO_UDP, false }, { IPPROTO_AH, false },
	{ IPPROTO_ESP, true },	{ IPPROTO_UDP, true },	{ IPPROTO_AH, true },
};

static int open_raw(int family, int protocol, struct net_error *error)
{
	int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	return fd < 0 ? fail(fd, family == AF_INET6 ? "open an IPv6 raw socket" : "open a raw socket", error) : fd;
}

static int set_buffer(int fd, int forced, int plain, struct net_error *error)
{
	int size = SOCKET_BUFFER;

	/* Beyond the system's limit if that is allowed, else up to it. */
	if (setsockopt(fd, SOL_SOCKET, forced, &size, sizeof(size)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size)) < 0) {
		return fail(fd, "set a socket's buffer size", error);
	}
	return fd;
}

int net_open_sender(bool is_ipv6, uint32_t fwmark, struct net_error *error)
{
	/* IPPROTO_RAW implies IP_HDRINCL and receives nothing. */
	int fd = open_raw(is_ipv6 ? AF_INET6 : AF_INET, IPPROTO_RAW, error);

	if (fd < 0) {
		return fd;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &fwmark, sizeof(fwmark)) < 0) {
		return fail(fd, "mark the sending socket", error);
	}
	return set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, error);
}

/* ESP in UDP to this port. Loads beyond the end of the packet drop it. */
static int filter_udp(int fd, bool is_ipv6, uint16_t port, struct net_error *error)
{
	/* In IPv4 offsets count from the IP header, in IPv6 from the UDP header. */
	struct sock_filter code[] = {
		is_ipv6 ? (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0)
			: (struct sock_filter)BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_IND, 8),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_filter closed_code[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog filter = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
	struct sock_fprog closed = { .len = 1, .filter = closed_code };
	char byte;

	/* What arrived before the filter was there is dropped while nothing else can get in. */
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &closed, sizeof(closed)) < 0) {
		return fail(fd, "filter the UDP socket", error);
	}
	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0) {
	}
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0) {
		return fail(fd, "filter the UDP socket", error);
	}
	return fd;
}

/* What receive.c puts headers together from. */
static int ask_for_headers(int fd, struct net_error *error)
{
	static const int options[] = {
		IPV6_RECVPKTINFO, IPV6_FLOWINFO, IPV6_RECVHOPLIMIT, IPV6_RECVHOPOPTS, IPV6_RECVRTHDR, IPV6_RECVDSTOPTS,
	};
	int on = 1;
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (setsockopt(fd, SOL_IPV6, options[i], &on, sizeof(on)) < 0) {
			return fail(fd, "ask for IPv6 headers", error);
		}
	}
	return fd;
}

int net_open_raw(const struct net_raw *raw, uint16_t udp_port, uint32_t fwmark, struct net_error *error)
{
	int fd = open_raw(raw->is_ipv6 ? AF_INET6 : AF_INET, raw->protocol, error);

	/* ICMP about what was sent is for this socket: with its mark the kernel finds the route it is about. */
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &fwmark, sizeof(fwmark)) < 0) {
		return fail(fd, "mark a raw socket", error);
	}
	if (fd >= 0 && raw->is_ipv6) {
		fd = ask_for_headers(fd, error);
	}
	if (fd >= 0 && raw->protocol == IPPROTO_UDP) {
		fd = filter_udp(fd, raw->is_ipv6, udp_port, error);
	}
	return fd < 0 ? fd : set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, error);
}
