/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_reader kernel_lagopus_reader
 * @{ @ingroup kernel_lagopus
 *
 * Decodes the agent's frames. Works on bytes alone and keeps nothing: every
 * chunk of a message points into the frame it was read from.
 */

#ifndef KERNEL_LAGOPUS_READER_H_
#define KERNEL_LAGOPUS_READER_H_

#include <ipsec/ipsec_types.h>
#include <networking/host.h>
#include <selectors/traffic_selector.h>

#include "kernel_lagopus_protocol.h"

typedef struct reader_error_t reader_error_t;
typedef struct feed_message_t feed_message_t;
typedef struct usage_entry_t usage_entry_t;
typedef struct policy_usage_entry_t policy_usage_entry_t;

/**
 * Why a frame is malformed
 */
struct reader_error_t {
	/** offset from the start of the frame, its length prefix included */
	size_t offset;
	/** what is wrong there */
	const char *what;
};

/**
 * A frame taken apart
 */
struct feed_message_t {
	/** message type */
	feed_type_t type;
	/** type and attributes */
	chunk_t body;
	/** value of each attribute present, of the first one if repeated; ptr
	 * is NULL if absent */
	chunk_t values[TAG_MAX + 1];
};

/**
 * Use of an SA, as the dataplane counts it
 */
struct usage_entry_t {
	uint8_t protocol;
	feed_direction_t direction;
	/** in network order, as charon has it */
	uint32_t spi;
	/** destination address */
	host_t *dst;
	uint64_t bytes;
	uint64_t packets;
	/** milliseconds since last use, or FEED_NEVER_USED */
	uint64_t idle_ms;
};

/**
 * Last use of a policy
 */
struct policy_usage_entry_t {
	feed_direction_t direction;
	traffic_selector_t *src_ts;
	traffic_selector_t *dst_ts;
	mark_t mark;
	uint32_t if_id;
	/** milliseconds since last use, or FEED_NEVER_USED */
	uint64_t idle_ms;
};

/**
 * Find the first frame in a stream of bytes.
 *
 * @param stream	bytes received so far
 * @param frame		receives the first complete frame, prefix included;
 *					chunk_empty if there is none yet
 * @param error		filled in if FALSE is returned
 * @return			FALSE if no frame can be as long as this one claims
 */
bool reader_frame(chunk_t stream, chunk_t *frame, reader_error_t *error);

/**
 * Take a frame apart and check all of its attributes.
 *
 * @param frame		frame with its prefix
 * @param message	filled in if TRUE is returned
 * @param error		filled in if FALSE is returned
 * @return			FALSE if malformed
 */
bool reader_parse(chunk_t frame, feed_message_t *message, reader_error_t *error);

/**
 * Integer value of an attribute, 0 if absent.
 */
uint64_t message_get_uint(feed_message_t *this, feed_tag_t tag);

/**
 * SPI in network order.
 */
uint32_t message_get_spi(feed_message_t *this, feed_tag_t tag);

/**
 * Text for logs: what is not printable ASCII is replaced, the rest cut off.
 */
void message_get_text(feed_message_t *this, feed_tag_t tag, char *buf, size_t len);

/**
 * Address with port, to be destroyed; NULL if absent.
 */
host_t *message_get_host(feed_message_t *this, feed_tag_t tag);

/**
 * Traffic selector, to be destroyed; NULL if absent.
 */
traffic_selector_t *message_get_ts(feed_message_t *this, feed_tag_t tag);

/**
 * Walk through the entries of a MSG_USAGE, and of nothing else.
 *
 * @param offset	0 at first, then as the last call left it
 * @param entry		receives an entry; its dst has to be destroyed
 * @return			FALSE if there are no more
 */
bool message_next_usage(feed_message_t *this, size_t *offset, usage_entry_t *entry);

/**
 * Walk through the entries of a MSG_POLICY_USAGE, and of nothing else.
 *
 * @param offset	0 at first, then as the last call left it
 * @param entry		receives an entry; its selectors have to be destroyed
 * @return			FALSE if there are no more
 */
bool message_next_policy_usage(feed_message_t *this, size_t *offset,
							   policy_usage_entry_t *entry);

#endif /** KERNEL_LAGOPUS_READER_H_ @}*/
