/*
 * What goes in front of ESP or AH: in tunnel mode a header of the SA's addresses, in transport mode
 * the packet's own, and UDP.
 *
 *     tunnel        outer IP                        | [UDP] | ESP or AH | inner packet
 *     transport     IP and extensions of the packet | [UDP] | ESP or AH | the rest of it
 */
#ifndef LAGOPUS_OUTER_H_
#define LAGOPUS_OUTER_H_

#include "sa.h"

#define UDP_HEADER 8
#define AH_HEADER 12

/* Room that encapsulation needs before and after a packet. */
#define SA_HEADROOM (IP_MAX_HEADER + UDP_HEADER + AH_HEADER + TRANSFORM_MAX_ICV + TRANSFORM_MAX_IV)
#define SA_TAILROOM (TRANSFORM_MAX_ALIGN + 2 + TRANSFORM_MAX_ICV)

/* What an SA will carry. */
struct load {
	/* Where it begins: the packet, or in transport mode what follows the headers that stay in front. */
	uint8_t *bytes;
	size_t length;
	/* The protocol it is of. */
	uint8_t next_header;
	struct ip_place place;
};

/*
 * What an SA protects of a packet. False if it cannot: in transport mode a fragment (RFC 4303, 3.3.4), or
 * a packet that is not between the SA's addresses.
 */
bool outer_load(const struct sa *sa, uint8_t *packet, const struct ip *ip, struct load *load);

/*
 * Puts the headers before `ipsec`, where ESP or AH begins and which lies before the load, and returns
 * where they begin. `length` counts from `ipsec`, afterwards from there. The kernel fills in an IPv4
 * header's checksum.
 */
uint8_t *outer_put(const struct sa *sa, const uint8_t *packet, const struct ip *ip, const struct load *load,
	uint8_t *ipsec, size_t *length, uint16_t identification);

/* When everything behind the headers is in its place. */
void outer_finish(const struct sa *sa, uint8_t *ipsec, size_t length);

/* A packet inside a buffer that held another. */
struct esp_packet {
	uint8_t *bytes;
	size_t length;
	struct ip ip;
};

/* Where the SPI is in a packet of ESP, ESP in UDP, or AH; 0 in no such packet. */
size_t outer_spi_offset(const struct ip *ip);

/*
 * The packet that an SA carried, whose load is well inside the buffer of the outer one, behind it. `next_header`
 * is what ESP or AH named. ESP_OK, ESP_INNER or ESP_CONGESTION.
 */
enum esp_result outer_strip(const struct sa *sa, uint8_t *packet, const struct ip *outer, uint8_t next_header,
	uint8_t *bytes, size_t length, struct esp_packet *inner);

#endif
