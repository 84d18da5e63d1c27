/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_setups kernel_lagopus_setups
 * @{ @ingroup kernel_lagopus
 *
 * CHILD_SAs that could not be set up here, by the names charon's configuration
 * gives them. Charon does not try again: the agent may, over VICI, and an
 * agent that comes later has to learn of them too.
 *
 *     ── a step fails, for a passing reason ──► failed ── fails for good ──►
 *                                                  └── is set up again ──►
 *
 * Rekeyings in IKEv2 are not among them, those charon does try again.
 */

#ifndef KERNEL_LAGOPUS_SETUPS_H_
#define KERNEL_LAGOPUS_SETUPS_H_

#include <collections/linked_list.h>
#include <threading/mutex.h>

#include "kernel_lagopus_feed.h"

typedef struct kernel_lagopus_setups_t kernel_lagopus_setups_t;
typedef struct setup_step_t setup_step_t;
typedef struct setup_failure_t setup_failure_t;

/**
 * An SA or a policy of a CHILD_SA, as this thread installs it.
 */
struct setup_step_t {
	/** SPI of the SA, or the one the policy leads to, in network order */
	uint32_t spi;
	/** TRUE if it is about packets that come in */
	bool inbound;
	/** selectors (traffic_selector_t*) */
	linked_list_t *src_ts;
	linked_list_t *dst_ts;
};

/**
 * Why a step failed.
 */
struct setup_failure_t {
	/** for logs */
	char reason[256];
	/** TRUE if it would fail the next time, too */
	bool permanent;
};

/**
 * The setups that failed.
 */
struct kernel_lagopus_setups_t {

	/**
	 * A step failed: remember its CHILD_SA and tell the agent, if there is
	 * one to tell. Called in the thread that holds the IKE_SA, without the
	 * mutex.
	 */
	void (*failed)(kernel_lagopus_setups_t *this, kernel_lagopus_feed_t *feed,
				   setup_step_t *step, setup_failure_t *failure);

	/**
	 * The first step, the inbound SA, succeeded: what failed before does not
	 * count, what comes next does. Called as failed() is.
	 */
	void (*started)(kernel_lagopus_setups_t *this, setup_step_t *step);

	/**
	 * Add a SETUP_FAILED for each of them. Called with the mutex held.
	 *
	 * @param frames	list to add to (chunk_t*, allocated)
	 */
	void (*add_frames)(kernel_lagopus_setups_t *this, linked_list_t *frames);

	/**
	 * Destroy this.
	 */
	void (*destroy)(kernel_lagopus_setups_t *this);
};

/**
 * Create an empty table.
 *
 * @param mutex		guards the table, and the feed
 */
kernel_lagopus_setups_t *kernel_lagopus_setups_create(mutex_t *mutex);

#endif /** KERNEL_LAGOPUS_SETUPS_H_ @}*/
