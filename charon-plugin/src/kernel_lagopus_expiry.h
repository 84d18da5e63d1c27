/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_expiry kernel_lagopus_expiry
 * @{ @ingroup kernel_lagopus
 *
 * Lifetimes in time: charon has no timers of its own for CHILD_SAs, it rekeys
 * and deletes them when its kernel backend says so.
 */

#ifndef KERNEL_LAGOPUS_EXPIRY_H_
#define KERNEL_LAGOPUS_EXPIRY_H_

#include <threading/mutex.h>

#include "kernel_lagopus_feed.h"
#include "kernel_lagopus_sad.h"

typedef struct kernel_lagopus_expiry_t kernel_lagopus_expiry_t;

/**
 * Raises expires when they are due, each once. A soft one is held back while
 * no agent is ready: the rekeying could only fail. Hard ones never are.
 */
struct kernel_lagopus_expiry_t {

	/**
	 * Schedule the expires of an SA that was just installed. They find it by
	 * its number, so it may be moved or removed meanwhile. Called with the
	 * mutex held.
	 */
	void (*schedule)(kernel_lagopus_expiry_t *this, sa_t *sa);

	/**
	 * End an SA that charon keeps although it is of no use: when the policy
	 * that switches to it fails during a rekeying, charon only logs that. The
	 * hard expire makes charon delete the CHILD_SA and create it anew; it is
	 * raised once an agent is ready to take the new one, and only if charon
	 * does not delete the SA by itself meanwhile. Called with the mutex held.
	 */
	void (*condemn)(kernel_lagopus_expiry_t *this, sa_t *sa);

	/**
	 * Destroy this, when charon does not run jobs any more.
	 */
	void (*destroy)(kernel_lagopus_expiry_t *this);
};

/**
 * Create an object that watches lifetimes.
 *
 * @param mutex		mutex of the table of SAs
 * @param sad		table of SAs
 * @param feed		knows if an agent is ready
 */
kernel_lagopus_expiry_t *kernel_lagopus_expiry_create(mutex_t *mutex,
													kernel_lagopus_sad_t *sad,
													kernel_lagopus_feed_t *feed);

#endif /** KERNEL_LAGOPUS_EXPIRY_H_ @}*/
