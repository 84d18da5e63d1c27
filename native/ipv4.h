/*
 * IPv4 headers: validation, checksums, and the DSCP and ECN field.
 */
#ifndef LAGOPUS_IPV4_H_
#define LAGOPUS_IPV4_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"

#define IPV4_HEADER 20
#define IPV4_SOURCE 12
#define IPV4_DESTINATION 16
#define IPV4_DF 0x4000
#define IPV4_MF 0x2000
#define IPV4_OFFSET 0x1fff

#define TOS_ECN 0x03
#define TOS_DSCP 0xfc

enum ecn { ECN_NOT_ECT = 0, ECN_ECT1 = 1, ECN_ECT0 = 2, ECN_CE = 3 };

/*
 * Length of the IPv4 packet at the start of these bytes, or 0 if there is no well-formed one. It may
 * be shorter than the bytes.
 */
size_t ipv4_length(const uint8_t *bytes, size_t length);

/* Ones' complement sum (RFC 1071), folded to 16 bits, not inverted. */
uint16_t checksum_add(uint16_t sum, const uint8_t *bytes, size_t length);

void ipv4_set_checksum(uint8_t *packet);

/* Changes the DSCP and ECN byte and corrects the header checksum. */
void ipv4_set_tos(uint8_t *packet, uint8_t tos);

/*
 * Which ECN a decapsulated packet gets (RFC 6040, figure 4); false if it must be dropped, because
 * the path marked a packet that is not ECN-capable.
 */
bool ecn_decapsulate(uint8_t inner, uint8_t outer, uint8_t *result);

#endif
