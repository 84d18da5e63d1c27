#include "path.h"

#include "esp.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* What every host takes (RFC 791, RFC 8200): less than that only a forger says. */
#define IPV4_FLOOR 576
#define IPV6_FLOOR IPV6_MIN_MTU
/* Nothing is sent there; discard (RFC 863). */
#define ANY_PORT 9
#define AH_ALIGN_IPV4 4
#define AH_ALIGN_IPV6 8

int path_socket(bool is_ipv6)
{
	return socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static bool is_connected(int fd, const struct address *destination)
{
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(ANY_PORT) };
	struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = htons(ANY_PORT) };
	struct sockaddr unspecified = { .sa_family = AF_UNSPEC };

	/* Or the source address of the last time stays, which this host need not have any more. */
	connect(fd, &unspecified, sizeof(unspecified));
	if (address_is_ipv4(destination)) {
		memcpy(&ipv4.sin_addr, destination->bytes + ADDRESS_IPV4, sizeof(ipv4.sin_addr));
		return connect(fd, (struct sockaddr *)&ipv4, sizeof(ipv4)) == 0;
	}
	memcpy(&ipv6.sin6_addr, destination->bytes, sizeof(ipv6.sin6_addr));
	return connect(fd, (struct sockaddr *)&ipv6, sizeof(ipv6)) == 0;
}

uint32_t path_mtu(int fd, const struct address *destination, uint32_t mark)
{
	bool is_ipv4 = address_is_ipv4(destination);
	int mtu, floor = is_ipv4 ? IPV4_FLOOR : IPV6_FLOOR;
	socklen_t length = sizeof(mtu);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0 || !is_connected(fd, destination) ||
	    getsockopt(fd, is_ipv4 ? IPPROTO_IP : IPPROTO_IPV6, is_ipv4 ? IP_MTU : IPV6_MTU, &mtu, &length) < 0) {
		return PATH_UNKNOWN;
	}
	return (uint32_t)(mtu > floor ? mtu : floor);
}

size_t path_largest_inner(const struct sa *sa, const uint8_t *packet, const struct ip *ip, uint32_t mtu)
{
	const struct transform *transform = &sa->transform;
	bool is_ipv4 = address_is_ipv4(&sa->destination);
	/* In transport mode the packet's own headers stay in front. */
	size_t kept = sa->is_transport ? ip_transport_place(packet, ip).offset : 0;
	size_t headers = sa->is_transport ? kept : is_ipv4 ? IPV4_HEADER : IPV6_HEADER;
	size_t align = is_ipv4 ? AH_ALIGN_IPV4 : AH_ALIGN_IPV6, added;

	headers += sa->udp ? UDP_HEADER : 0;
	if (sa->protocol == IPPROTO_AH) {
		added = headers + (AH_HEADER + (size_t)transform->icv_length + align - 1) / align * align;
		return mtu > added ? mtu - added + kept : 0;
	}
	/* Without the pad length and next header, which are padded with the packet. */
	added = headers + ESP_OVERHEAD(transform) - 2;
	if (mtu < added + transform->align + 2) {
		return 0;
	}
	return (mtu - added) / transform->align * transform->align - 2 + kept;
}
