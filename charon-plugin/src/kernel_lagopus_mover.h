/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_mover kernel_lagopus_mover
 * @{ @ingroup kernel_lagopus
 *
 * Moves SAs to other endpoints (MOBIKE, NAT rebinding).
 *
 * Charon moves the inbound SA of a CHILD_SA, then the outbound one, and takes
 * every result but NOT_SUPPORTED for success. With NOT_SUPPORTED it keeps both
 * at their old endpoints and rekeys: so an inbound SA that moved goes back if
 * its outbound one cannot follow.
 */

#ifndef KERNEL_LAGOPUS_MOVER_H_
#define KERNEL_LAGOPUS_MOVER_H_

#include <threading/mutex.h>

#include "kernel_lagopus_feed.h"
#include "kernel_lagopus_sad.h"

typedef struct kernel_lagopus_mover_t kernel_lagopus_mover_t;

/**
 * Moves SAs.
 */
struct kernel_lagopus_mover_t {

	/**
	 * Move an SA, and wait until the dataplane has.
	 *
	 * @return		SUCCESS, or NOT_SUPPORTED if the CHILD_SA stays as it was
	 */
	status_t (*update)(kernel_lagopus_mover_t *this, kernel_ipsec_sa_id_t *id,
					   kernel_ipsec_update_sa_t *data);

	/**
	 * Destroy this.
	 */
	void (*destroy)(kernel_lagopus_mover_t *this);
};

/**
 * Create an object that moves SAs.
 *
 * @param mutex		mutex of table and feed, not held when called
 * @param sad		SAs
 * @param feed		connection to the agent
 */
kernel_lagopus_mover_t *kernel_lagopus_mover_create(mutex_t *mutex,
													kernel_lagopus_sad_t *sad,
													kernel_lagopus_feed_t *feed);

#endif /** KERNEL_LAGOPUS_MOVER_H_ @}*/
