/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_spd kernel_lagopus_spd
 * @{ @ingroup kernel_lagopus
 *
 * The policies of this charon. A policy is a selector with its users: charon
 * installs the same selector once for each CHILD_SA, trap and shunt. Which of
 * them is effective is the agent's decision, here they are only kept. Not
 * thread-safe, the backend's mutex guards it.
 */

#ifndef KERNEL_LAGOPUS_SPD_H_
#define KERNEL_LAGOPUS_SPD_H_

#include <kernel/kernel_ipsec.h>

#include "kernel_lagopus_reader.h"

typedef struct kernel_lagopus_spd_t kernel_lagopus_spd_t;
typedef struct policy_t policy_t;
typedef struct policy_user_t policy_user_t;

/**
 * A selector.
 */
struct policy_t {
	/** identity, owns what it points to */
	kernel_ipsec_policy_id_t id;
	/** users of this selector (policy_user_t*) */
	linked_list_t *users;
	/** last use (monotonic), 0 if never */
	time_t used;
};

/**
 * One use of a selector.
 */
struct policy_user_t {
	/** selector it belongs to */
	policy_t *policy;
	/** what was installed, owns src, dst and sa */
	kernel_ipsec_manage_policy_t data;
	/** number of the message that announced it */
	uint64_t seq;
	/** nobody confirmed it yet: not in snapshots */
	bool awaiting;
};

/**
 * The table of policies.
 */
struct kernel_lagopus_spd_t {

	/**
	 * Add a user that awaits confirmation to a selector, which is created
	 * if this is the first one.
	 *
	 * @param id		selector, cloned
	 * @param data		user's parameters, cloned
	 * @param seq		number of the message announcing it
	 * @return			the user
	 */
	policy_user_t *(*add)(kernel_lagopus_spd_t *this,
						  kernel_ipsec_policy_id_t *id,
						  kernel_ipsec_manage_policy_t *data, uint64_t seq);

	/**
	 * Find the confirmed user charon means when it deletes a policy.
	 */
	policy_user_t *(*find)(kernel_lagopus_spd_t *this,
						   kernel_ipsec_policy_id_t *id,
						   kernel_ipsec_manage_policy_t *data);

	/**
	 * Get the time a selector was last used.
	 *
	 * @param used		receives the monotonic time, 0 if never
	 * @return			FALSE if there is no such selector
	 */
	bool (*query)(kernel_lagopus_spd_t *this, kernel_ipsec_policy_id_t *id,
				  time_t *used);

	/**
	 * Take in when the dataplane used a selector.
	 */
	void (*account)(kernel_lagopus_spd_t *this, policy_usage_entry_t *entry);

	/**
	 * Remove a user, and its selector with the last one.
	 */
	void (*remove)(kernel_lagopus_spd_t *this, policy_user_t *user);

	/**
	 * Remove all users but those that await confirmation.
	 */
	void (*flush)(kernel_lagopus_spd_t *this);

	/**
	 * Enumerate all users that are confirmed (policy_user_t*).
	 */
	enumerator_t *(*create_enumerator)(kernel_lagopus_spd_t *this);

	/**
	 * Destroy the table.
	 */
	void (*destroy)(kernel_lagopus_spd_t *this);
};

/**
 * Create a table of policies.
 */
kernel_lagopus_spd_t *kernel_lagopus_spd_create();

#endif /** KERNEL_LAGOPUS_SPD_H_ @}*/
