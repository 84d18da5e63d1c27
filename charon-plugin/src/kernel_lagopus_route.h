/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_route kernel_lagopus_route
 * @{ @ingroup kernel_lagopus
 *
 * One destination network: who wants it routed, and what is installed for it.
 * Not thread-safe.
 */

#ifndef KERNEL_LAGOPUS_ROUTE_H_
#define KERNEL_LAGOPUS_ROUTE_H_

#include <kernel/kernel_ipsec.h>

typedef struct route_t route_t;
typedef struct hop_t hop_t;

/**
 * A destination.
 */
struct route_t {
	/** network address, without port */
	host_t *net;
	/** length of the prefix */
	uint8_t prefixlen;
	/** policies that want it (internal) */
	linked_list_t *users;
	/** what is installed, NULL if nothing is (internal) */
	hop_t *installed;
	/** TRUE if the last attempt to install it failed */
	bool failed;
};

/**
 * Check if a policy wants a route.
 *
 * Routes know destinations only. For protected traffic that errs on the safe
 * side: the interface discards what matches no policy. An exclusion for more
 * than its policy says would let other traffic out in clear.
 */
bool route_is_wanted(kernel_ipsec_policy_id_t *id,
					 kernel_ipsec_manage_policy_t *data);

/**
 * Create a destination nobody wants yet.
 *
 * @param net			network address, gets owned
 * @param prefixlen		length of the prefix
 */
route_t *route_create(host_t *net, uint8_t prefixlen);

/**
 * A policy wants this destination.
 */
void route_add_user(route_t *this, policy_type_t type,
					traffic_selector_t *src_ts);

/**
 * A policy does not want it any more, nothing happens if it never did.
 *
 * @return				TRUE if nobody wants it
 */
bool route_remove_user(route_t *this, policy_type_t type,
					   traffic_selector_t *src_ts);

/**
 * Nobody wants it any more.
 */
void route_remove_users(route_t *this);

/**
 * Make what is installed what it has to be.
 *
 * @param interface		interface traffic is led to, NULL if none
 */
void route_update(route_t *this, char *interface);

/**
 * Destroy a destination, what is installed stays.
 */
void route_destroy(route_t *this);

#endif /** KERNEL_LAGOPUS_ROUTE_H_ @}*/
