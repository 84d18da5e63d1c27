/*
 * Addresses of both families in 16 bytes, network order: an IPv4 address is the IPv4-mapped IPv6 one
 * (RFC 4291, 2.5.5.2), which no packet carries.
 */
#ifndef LAGOPUS_ADDRESS_H_
#define LAGOPUS_ADDRESS_H_

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ADDRESS_BYTES 16
/* Where the IPv4 address is. */
#define ADDRESS_IPV4 12

struct address {
	_Alignas(uint64_t) uint8_t bytes[ADDRESS_BYTES];
};

static inline struct address address_ipv4(const uint8_t *bytes)
{
	struct address address = { { [10] = 0xff, [11] = 0xff } };

	memcpy(address.bytes + ADDRESS_IPV4, bytes, 4);
	return address;
}

static inline struct address address_ipv6(const uint8_t *bytes)
{
	struct address address;

	memcpy(address.bytes, bytes, sizeof(address.bytes));
	return address;
}

static inline bool address_equals(const struct address *a, const struct address *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

/* By value, as numbers of 128 bits. */
static inline bool address_in_range(const struct address *address, const struct address *first, const struct address *last)
{
	return memcmp(address, first, sizeof(*address)) >= 0 && memcmp(address, last, sizeof(*address)) <= 0;
}

static inline bool address_is_ipv4(const struct address *address)
{
	static const uint8_t mapped[ADDRESS_IPV4] = { [10] = 0xff, [11] = 0xff };

	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

/* Where a packet is in selector space (RFC 4301, 4.4.1.1), ports in host order. */
struct flow_key {
	struct address source;
	struct address destination;
	/* For ICMP both are type << 8 | code. */
	uint16_t source_port;
	uint16_t destination_port;
	uint8_t protocol;
	/* 0 when the packet carries no ports: a later fragment, or a protocol without them. */
	uint8_t has_ports;
	uint8_t is_ipv6 : 1;
	/* 1 for a packet that came out of a tunnel. */
	uint8_t inbound : 1;
	uint8_t reserved : 6;
	/* Which TUN device it came from or goes to; for the caller to set. */
	uint8_t device;
	/* Of a packet that came out of a tunnel: the group of its SA (struct sa); for the caller to set. */
	uint32_t group;
	uint32_t zero;
};

#endif
