/*
 * RFC 4303 ESP: padding, sequence numbers and the anti-replay window of a packet. No I/O.
 *
 *     headers of outer.h | SPI | sequence | IV | load, padding, pad length, next header | ICV
 *                                              `------------- encrypted -------------'
 */
#ifndef LAGOPUS_ESP_H_
#define LAGOPUS_ESP_H_

#include "outer.h"

/* What ESP adds to its load, padding apart: header, IV, the two fixed bytes of the trailer, ICV. */
#define ESP_OVERHEAD(transform) (ESP_HEADER + (size_t)(transform)->iv_length + 2 + (transform)->icv_length)

/*
 * Encapsulates a packet in place, with SA_HEADROOM writable bytes before and SA_TAILROOM after it. `largest`,
 * the largest packet that path takes, is how far TFC padding goes: there are as many bytes before the
 * SA_TAILROOM. The kernel fills in the outer header checksum.
 */
enum esp_result esp_encapsulate(struct sa *sa, uint8_t *packet, const struct ip *ip, size_t largest,
	uint16_t identification, uint64_t now_ms, struct esp_packet *outer);

/*
 * Decapsulates in place a packet whose upper layer is ESP, or UDP with ESP in it. On ESP_OK `inner` is a
 * well-formed packet. Drops are counted; a delivered packet is for the caller to count, after it checked
 * its selectors.
 */
enum esp_result esp_decapsulate(struct sa *sa, uint8_t *packet, const struct ip *outer, struct esp_packet *inner);

#endif
