/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_routes kernel_lagopus_routes
 * @{ @ingroup kernel_lagopus
 *
 * Routes, in charon's own table, that lead traffic to the dataplane's
 * interface. One per destination network, decided by everybody who wants it:
 *
 *     a PASS shunt       traffic takes the routes it had anyway
 *     tunnels, DROP      to the interface; what it is not to send, it discards
 *
 * It stays from the first policy to the deletion of the last one, whether or
 * not an agent is connected.
 */

#ifndef KERNEL_LAGOPUS_ROUTES_H_
#define KERNEL_LAGOPUS_ROUTES_H_

#include <kernel/kernel_ipsec.h>

typedef struct kernel_lagopus_routes_t kernel_lagopus_routes_t;

/**
 * Routes for outbound policies. Thread-safe; not to be called with a mutex
 * held that upcalls into charon could need.
 */
struct kernel_lagopus_routes_t {

	/**
	 * A policy was installed: its route is there when this returns, if the
	 * interface is known and takes it.
	 */
	void (*add)(kernel_lagopus_routes_t *this, kernel_ipsec_policy_id_t *id,
				kernel_ipsec_manage_policy_t *data);

	/**
	 * A policy was removed.
	 */
	void (*remove)(kernel_lagopus_routes_t *this, kernel_ipsec_policy_id_t *id,
				   kernel_ipsec_manage_policy_t *data);

	/**
	 * All policies were removed.
	 */
	void (*flush)(kernel_lagopus_routes_t *this);

	/**
	 * Set the interface to route to; existing routes follow soon.
	 *
	 * @param name		name of the interface, NULL for no routes
	 */
	void (*set_interface)(kernel_lagopus_routes_t *this, char *name);

	/**
	 * Destroy this, and remove the routes.
	 */
	void (*destroy)(kernel_lagopus_routes_t *this);
};

/**
 * Create an object that manages routes.
 */
kernel_lagopus_routes_t *kernel_lagopus_routes_create();

#endif /** KERNEL_LAGOPUS_ROUTES_H_ @}*/
