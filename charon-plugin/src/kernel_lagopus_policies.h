/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_policies kernel_lagopus_policies
 * @{ @ingroup kernel_lagopus
 *
 * What charon asks about policies: installing one waits for the agent and
 * brings its route, everything else is answered from the table.
 */

#ifndef KERNEL_LAGOPUS_POLICIES_H_
#define KERNEL_LAGOPUS_POLICIES_H_

#include <threading/mutex.h>

#include "kernel_lagopus_expiry.h"
#include "kernel_lagopus_feed.h"
#include "kernel_lagopus_routes.h"
#include "kernel_lagopus_sad.h"
#include "kernel_lagopus_setups.h"
#include "kernel_lagopus_spd.h"

typedef struct kernel_lagopus_policies_t kernel_lagopus_policies_t;

/**
 * Methods of kernel_ipsec_t for policies.
 */
struct kernel_lagopus_policies_t {

	/**
	 * Install a policy, wait for the agent if it has a say.
	 */
	status_t (*add)(kernel_lagopus_policies_t *this,
					kernel_ipsec_policy_id_t *id,
					kernel_ipsec_manage_policy_t *data);

	/**
	 * Get the time a policy was last used. Never waits: called with charon's
	 * bus locked.
	 */
	status_t (*query)(kernel_lagopus_policies_t *this,
					  kernel_ipsec_policy_id_t *id, time_t *use_time);

	/**
	 * Delete a policy.
	 */
	status_t (*del)(kernel_lagopus_policies_t *this,
					kernel_ipsec_policy_id_t *id,
					kernel_ipsec_manage_policy_t *data);

	/**
	 * Delete all policies.
	 */
	status_t (*flush)(kernel_lagopus_policies_t *this);

	/**
	 * Destroy this.
	 */
	void (*destroy)(kernel_lagopus_policies_t *this);
};

/**
 * Create an object for these methods.
 *
 * @param mutex		mutex of tables and feed, not held when called
 * @param spd		table
 * @param sad		SAs the policies lead to
 * @param feed		connection to the agent
 * @param expiry	ends SAs no policy leads to
 * @param routes	routes for policies
 * @param setups	where CHILD_SAs that fail are noted
 */
kernel_lagopus_policies_t *kernel_lagopus_policies_create(mutex_t *mutex,
			kernel_lagopus_spd_t *spd, kernel_lagopus_sad_t *sad,
			kernel_lagopus_feed_t *feed, kernel_lagopus_expiry_t *expiry,
			kernel_lagopus_routes_t *routes, kernel_lagopus_setups_t *setups);

#endif /** KERNEL_LAGOPUS_POLICIES_H_ @}*/
