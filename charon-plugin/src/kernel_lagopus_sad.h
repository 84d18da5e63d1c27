/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_sad kernel_lagopus_sad
 * @{ @ingroup kernel_lagopus
 *
 * The SAs of this charon with everything that is known about them: what a
 * snapshot is made of and what query_sa() is answered from. Not thread-safe,
 * the backend's mutex guards it.
 */

#ifndef KERNEL_LAGOPUS_SAD_H_
#define KERNEL_LAGOPUS_SAD_H_

#include <kernel/kernel_ipsec.h>

#include "kernel_lagopus_reader.h"

typedef struct kernel_lagopus_sad_t kernel_lagopus_sad_t;
typedef struct sa_t sa_t;

/**
 * One SA.
 */
struct sa_t {
	/** identity, owns src and dst */
	kernel_ipsec_sa_id_t id;
	/** parameters, owns what they point to */
	kernel_ipsec_add_sa_t data;
	/** number of the message that announced it: unique, and never reused */
	uint64_t seq;
	/** nobody confirmed it yet: not in snapshots, not used for anything */
	bool awaiting;
	/** when it was installed (monotonic) */
	timeval_t installed;

	/** use, summed up over restarts of the dataplane's counters */
	uint64_t bytes;
	uint64_t packets;
	/** last counters reported */
	uint64_t reported_bytes;
	uint64_t reported_packets;
	/** last use (monotonic), 0 if never */
	time_t used;
};

/**
 * The table of SAs.
 */
struct kernel_lagopus_sad_t {

	/**
	 * Add an SA that awaits confirmation.
	 *
	 * @param id		identity, cloned
	 * @param data		parameters, cloned
	 * @param seq		number of the message announcing it
	 * @return			the SA, NULL if there is one with this identity
	 */
	sa_t *(*add)(kernel_lagopus_sad_t *this, kernel_ipsec_sa_id_t *id,
				 kernel_ipsec_add_sa_t *data, uint64_t seq);

	/**
	 * Find an SA by protocol, SPI, destination, mark and interface ID.
	 */
	sa_t *(*find)(kernel_lagopus_sad_t *this, kernel_ipsec_sa_id_t *id);

	/**
	 * Find an SA by the number of the message that announced it.
	 */
	sa_t *(*find_seq)(kernel_lagopus_sad_t *this, uint64_t seq);

	/**
	 * Find an SA by what the agent names it with.
	 *
	 * @param protocol	ESP or AH
	 * @param spi		SPI, in network order
	 * @param dst		destination address
	 */
	sa_t *(*find_spi)(kernel_lagopus_sad_t *this, uint8_t protocol,
					  uint32_t spi, host_t *dst);

	/**
	 * Move an SA to other endpoints, it is found by them from then on.
	 *
	 * @param sa		SA to move
	 * @param src		new source, cloned
	 * @param dst		new destination, cloned
	 * @param encap		whether it is UDP-encapsulated there
	 * @param reqid		new reqid, 0 to keep it
	 */
	void (*move)(kernel_lagopus_sad_t *this, sa_t *sa, host_t *src,
				 host_t *dst, bool encap, uint32_t reqid);

	/**
	 * Take in what the dataplane counted.
	 */
	void (*account)(kernel_lagopus_sad_t *this, usage_entry_t *entry);

	/**
	 * Remove an SA, wiping its keys.
	 */
	void (*remove)(kernel_lagopus_sad_t *this, sa_t *sa);

	/**
	 * Remove all SAs but those that await confirmation.
	 */
	void (*flush)(kernel_lagopus_sad_t *this);

	/**
	 * Enumerate all SAs that are confirmed (sa_t*).
	 */
	enumerator_t *(*create_enumerator)(kernel_lagopus_sad_t *this);

	/**
	 * Destroy the table and wipe all keys.
	 */
	void (*destroy)(kernel_lagopus_sad_t *this);
};

/**
 * Convert an idle time to the monotonic time of last use.
 *
 * @param idle_ms	idle time in ms, or FEED_NEVER_USED
 * @return			time, 0 if never used
 */
time_t last_use_from_idle(uint64_t idle_ms);

/**
 * Create a table of SAs.
 */
kernel_lagopus_sad_t *kernel_lagopus_sad_create();

#endif /** KERNEL_LAGOPUS_SAD_H_ @}*/
