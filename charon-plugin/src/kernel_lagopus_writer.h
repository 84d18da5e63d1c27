/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_writer kernel_lagopus_writer
 * @{ @ingroup kernel_lagopus
 *
 * Encodes one frame of the key feed. Frames hold keys: whatever the writer
 * allocates and lets go of is wiped.
 */

#ifndef KERNEL_LAGOPUS_WRITER_H_
#define KERNEL_LAGOPUS_WRITER_H_

#include <networking/host.h>
#include <selectors/traffic_selector.h>
#include <ipsec/ipsec_types.h>

#include "kernel_lagopus_protocol.h"

typedef struct writer_t writer_t;

/**
 * A frame being written
 */
struct writer_t {
	/** allocated bytes */
	chunk_t buf;
	/** bytes written */
	size_t used;
};

/**
 * Start a frame of the given type.
 */
void writer_init(writer_t *this, feed_type_t type);

/**
 * Add an attribute without a value.
 */
void writer_flag(writer_t *this, feed_tag_t tag);

/**
 * Add an unsigned integer of the given width.
 */
void writer_u8(writer_t *this, feed_tag_t tag, uint8_t value);
void writer_u16(writer_t *this, feed_tag_t tag, uint16_t value);
void writer_u32(writer_t *this, feed_tag_t tag, uint32_t value);
void writer_u64(writer_t *this, feed_tag_t tag, uint64_t value);

/**
 * Add bytes, at most 65535 of them (more are cut off).
 */
void writer_bytes(writer_t *this, feed_tag_t tag, chunk_t value);

/**
 * Add text.
 */
void writer_text(writer_t *this, feed_tag_t tag, const char *value);

/**
 * Add an SPI as charon has it, that is in network order.
 */
void writer_spi(writer_t *this, feed_tag_t tag, uint32_t spi);

/**
 * Add an address with its port.
 */
void writer_host(writer_t *this, feed_tag_t tag, host_t *host);

/**
 * Add a traffic selector of IPv4 or IPv6 addresses.
 */
void writer_ts(writer_t *this, feed_tag_t tag, traffic_selector_t *ts);

/**
 * Add a mark, nothing if it is not set.
 */
void writer_mark(writer_t *this, feed_tag_t tag, mark_t mark);

/**
 * Add lifetimes.
 */
void writer_lifetime(writer_t *this, feed_tag_t tag, lifetime_cfg_t *lifetime);

/**
 * Complete the frame.
 *
 * @return			frame with its length prefix, to be released with
 *					chunk_clear()
 */
chunk_t writer_finish(writer_t *this);

#endif /** KERNEL_LAGOPUS_WRITER_H_ @}*/
