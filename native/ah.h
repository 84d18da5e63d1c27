/*
 * RFC 4302 AH: the ICV over everything that a packet's way does not change, sequence numbers and the
 * anti-replay window. No I/O.
 *
 *     headers of outer.h | next header, length, reserved | SPI | sequence | ICV, padding | load
 *     `------------------------------- what the ICV covers ------------------------------------'
 */
#ifndef LAGOPUS_AH_H_
#define LAGOPUS_AH_H_

#include "outer.h"

/* See esp_encapsulate(). */
enum esp_result ah_encapsulate(struct sa *sa, uint8_t *packet, const struct ip *ip, uint16_t identification,
	uint64_t now_ms, struct esp_packet *outer);

/* See esp_decapsulate(); the upper layer is AH. */
enum esp_result ah_decapsulate(struct sa *sa, uint8_t *packet, const struct ip *outer, struct esp_packet *inner);

/* Longer headers, with their options and extensions, are not authenticated: such a packet is dropped. */
#define AH_MAX_COVERED 1024

/*
 * Makes headers what the ICV covers (RFC 4302, 3.3.3.1): mutable fields zero, predictable ones as they arrive.
 * `is_sent` is for the headers of a packet that has its way before it: what a source route still changes.
 * False for headers that cannot be covered.
 */
bool ah_mute(uint8_t *headers, size_t length, bool is_sent);

#endif
