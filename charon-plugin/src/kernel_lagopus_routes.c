/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_routes.h"

#include <daemon.h>
#include <collections/hashtable.h>
#include <processing/jobs/callback_job.h>
#include <threading/mutex.h>

/** How soon a route that could not be installed is tried again, in s */
#define ROUTE_RETRY_INTERVAL 1

typedef struct private_kernel_lagopus_routes_t private_kernel_lagopus_routes_t;
typedef struct hop_t hop_t;
typedef struct route_t route_t;
typedef struct route_user_t route_user_t;

/**
 * Where a route leads
 */
struct hop_t {
	/** TRUE if it excludes its destination from our table */
	bool pass;
	/** interface, NULL if none */
	char *interface;
	/** preferred source, %any if none */
	host_t *src;
	/** next hop, NULL if none */
	host_t *gateway;
};

/**
 * A destination with what is installed for it
 */
struct route_t {
	/** network address, without port */
	host_t *net;
	/** length of the prefix */
	uint8_t prefixlen;
	/** policies that want it (route_user_t*) */
	linked_list_t *users;
	/** what is installed, NULL if nothing is */
	hop_t *installed;
	/** TRUE if the last attempt failed */
	bool failed;
};

/**
 * A policy that wants a route
 */
struct route_user_t {
	/** type of policy */
	policy_type_t type;
	/** local traffic selector */
	traffic_selector_t *src_ts;
};

/**
 * Private data
 */
struct private_kernel_lagopus_routes_t {

	/**
	 * Public interface
	 */
	kernel_lagopus_routes_t public;

	/**
	 * Tells when addresses and interfaces change
	 */
	kernel_listener_t listener;

	/**
	 * Guards the rest
	 */
	mutex_t *mutex;

	/**
	 * Routes by destination, route_t* => route_t*
	 */
	hashtable_t *routes;

	/**
	 * Interface to route to, NULL if none
	 */
	char *interface;

	/**
	 * TRUE if a job to try again is scheduled
	 */
	bool retrying;

	/**
	 * FALSE if routes are not our job
	 */
	bool enabled;
};

static void hop_destroy(hop_t *this)
{
	if (this)
	{
		DESTROY_IF(this->src);
		DESTROY_IF(this->gateway);
		free(this->interface);
		free(this);
	}
}

static bool host_equals(host_t *a, host_t *b)
{
	return (!a && !b) || (a && b && a->ip_equals(a, b));
}

static bool hop_equals(hop_t *a, hop_t *b)
{
	return (!a && !b) ||
		   (a && b && a->pass == b->pass && streq(a->interface, b->interface) &&
			host_equals(a->src, b->src) && host_equals(a->gateway, b->gateway));
}

static u_int route_hash(route_t *route)
{
	return chunk_hash_inc(route->net->get_address(route->net),
						  chunk_hash(chunk_from_thing(route->prefixlen)));
}

static bool route_equals(route_t *a, route_t *b)
{
	return a->prefixlen == b->prefixlen && a->net->ip_equals(a->net, b->net);
}

static void user_destroy(route_user_t *this)
{
	this->src_ts->destroy(this->src_ts);
	free(this);
}

static void route_destroy(route_t *this)
{
	this->users->destroy_function(this->users, (void*)user_destroy);
	hop_destroy(this->installed);
	this->net->destroy(this->net);
	free(this);
}

/**
 * Check if a traffic selector is for all protocols and ports
 */
static bool is_for_all(traffic_selector_t *ts)
{
	return !ts->get_protocol(ts) && ts->get_from_port(ts) == 0 &&
		   ts->get_to_port(ts) == UINT16_MAX;
}

/**
 * Check if a policy wants a route.
 *
 * Routes know destinations only. For protected traffic that errs on the safe
 * side: the interface discards what matches no policy. An exclusion for more
 * than its policy says would let other traffic out in clear.
 */
static bool wants_route(kernel_ipsec_policy_id_t *id,
						kernel_ipsec_manage_policy_t *data)
{
	host_t *net;
	uint8_t prefixlen;
	bool exact;

	if (id->dir != POLICY_OUT || id->if_id)
	{	/* with an interface ID, routes to that interface decide */
		return FALSE;
	}
	switch (data->type)
	{
		case POLICY_IPSEC:
			return data->sa->mode != MODE_TRANSPORT;
		case POLICY_DROP:
			return TRUE;
		case POLICY_PASS:
			exact = id->dst_ts->to_subnet(id->dst_ts, &net, &prefixlen);
			net->destroy(net);
			return exact && is_for_all(id->src_ts) && is_for_all(id->dst_ts);
	}
	return FALSE;
}

/**
 * Find a local address to prefer as source: a virtual IP if there is one.
 * Gateways that have none in the networks behind them route without.
 */
static host_t *get_source(route_t *route)
{
	enumerator_t *enumerator;
	route_user_t *user;
	host_t *src = NULL, *found;
	bool is_virtual = FALSE;

	enumerator = route->users->create_enumerator(route->users);
	while (!is_virtual && enumerator->enumerate(enumerator, &user))
	{
		if (charon->kernel->get_address_by_ts(charon->kernel, user->src_ts,
											&found, &is_virtual) == SUCCESS)
		{
			if (is_virtual || !src)
			{
				DESTROY_IF(src);
				src = found;
			}
			else
			{
				found->destroy(found);
			}
		}
	}
	enumerator->destroy(enumerator);
	return src ?: host_create_any(route->net->get_family(route->net));
}

/**
 * Determine where a route has to lead
 *
 * @return			hop, NULL if there has to be none
 */
static hop_t *get_hop(private_kernel_lagopus_routes_t *this, route_t *route)
{
	enumerator_t *enumerator;
	route_user_t *user;
	bool pass = FALSE;
	hop_t *hop;

	enumerator = route->users->create_enumerator(route->users);
	while (!pass && enumerator->enumerate(enumerator, &user))
	{
		pass = user->type == POLICY_PASS;
	}
	enumerator->destroy(enumerator);

	if (!route->users->get_count(route->users) || (!pass && !this->interface))
	{
		return NULL;
	}
	INIT(hop,
		.pass = pass,
		.src = get_source(route),
	);
	if (pass)
	{
		hop->gateway = charon->kernel->get_nexthop(charon->kernel, route->net,
												   route->prefixlen, hop->src,
												   &hop->interface);
	}
	else
	{
		hop->interface = strdup(this->interface);
	}
	return hop;
}

/**
 * Install or remove a route
 */
static bool manage_route(route_t *route, hop_t *hop, bool add)
{
	chunk_t net = route->net->get_address(route->net);
	status_t status;

	DBG2(DBG_KNL, "%s route %H/%d%s src %H dev %s", add ? "adding" : "removing",
		 route->net, route->prefixlen, hop->pass ? " (pass)" : "", hop->src,
		 hop->interface ?: "none");
	if (add)
	{
		status = charon->kernel->add_route(charon->kernel, net,
									route->prefixlen, hop->gateway, hop->src,
									hop->interface, hop->pass);
	}
	else
	{
		status = charon->kernel->del_route(charon->kernel, net,
									route->prefixlen, hop->gateway, hop->src,
									hop->interface, hop->pass);
	}
	return status == SUCCESS || status == ALREADY_DONE;
}

/**
 * Make what is installed what it has to be, mutex held
 */
static void reconcile(private_kernel_lagopus_routes_t *this, route_t *route)
{
	hop_t *hop = get_hop(this, route), *old = route->installed;
	bool failed = FALSE;

	if (hop_equals(hop, old))
	{
		route->failed = FALSE;
		hop_destroy(hop);
		return;
	}
	/* the new one first, it replaces the old one in a single step */
	if (hop && !manage_route(route, hop, TRUE))
	{
		failed = TRUE;
		if (!route->failed)
		{
			DBG1(DBG_KNL, "installing route to %H/%d via %s failed, will try "
				 "again", route->net, route->prefixlen, hop->interface ?: "?");
		}
		hop_destroy(hop);
		hop = old;
	}
	route->failed = failed;
	if (hop != old)
	{
		if (old && !manage_route(route, old, FALSE))
		{
			DBG1(DBG_KNL, "removing route to %H/%d via %s failed", route->net,
				 route->prefixlen, old->interface ?: "?");
		}
		hop_destroy(old);
		route->installed = hop;
	}
}

static void schedule_retry(private_kernel_lagopus_routes_t *this);

/**
 * Job that goes through all routes
 */
static job_requeue_t reconcile_all(private_kernel_lagopus_routes_t *this)
{
	enumerator_t *enumerator;
	route_t *route;
	bool failed = FALSE;

	this->mutex->lock(this->mutex);
	enumerator = this->routes->create_enumerator(this->routes);
	while (enumerator->enumerate(enumerator, NULL, &route))
	{
		reconcile(this, route);
		failed |= route->failed;
	}
	enumerator->destroy(enumerator);
	if (failed)
	{
		schedule_retry(this);
	}
	this->mutex->unlock(this->mutex);
	return JOB_REQUEUE_NONE;
}

/**
 * Job that tries again to install what failed
 */
static job_requeue_t retry(private_kernel_lagopus_routes_t *this)
{
	this->mutex->lock(this->mutex);
	this->retrying = FALSE;
	this->mutex->unlock(this->mutex);
	return reconcile_all(this);
}

/**
 * Try again later, mutex held
 */
static void schedule_retry(private_kernel_lagopus_routes_t *this)
{
	if (!this->retrying)
	{
		this->retrying = TRUE;
		lib->scheduler->schedule_job(lib->scheduler,
				(job_t*)callback_job_create((callback_job_cb_t)retry, this,
											NULL, NULL), ROUTE_RETRY_INTERVAL);
	}
}

/**
 * Go through all routes soon
 */
static void queue_reconcile(private_kernel_lagopus_routes_t *this)
{
	lib->processor->queue_job(lib->processor,
				(job_t*)callback_job_create((callback_job_cb_t)reconcile_all,
											this, NULL, NULL));
}

/**
 * Get the route for a policy, creating it if there is none; mutex held
 */
static route_t *get_route(private_kernel_lagopus_routes_t *this,
						  kernel_ipsec_policy_id_t *id)
{
	route_t lookup, *route;

	id->dst_ts->to_subnet(id->dst_ts, &lookup.net, &lookup.prefixlen);
	route = this->routes->get(this->routes, &lookup);
	if (route)
	{
		lookup.net->destroy(lookup.net);
		return route;
	}
	INIT(route,
		.net = lookup.net,
		.prefixlen = lookup.prefixlen,
		.users = linked_list_create(),
	);
	/* charon sets the port if the selector is for a single one */
	route->net->set_port(route->net, 0);
	this->routes->put(this->routes, route, route);
	return route;
}

METHOD(kernel_lagopus_routes_t, add, void,
	private_kernel_lagopus_routes_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	route_user_t *user;
	route_t *route;

	if (!this->enabled || !wants_route(id, data))
	{
		return;
	}
	INIT(user,
		.type = data->type,
		.src_ts = id->src_ts->clone(id->src_ts),
	);
	this->mutex->lock(this->mutex);
	route = get_route(this, id);
	route->users->insert_last(route->users, user);
	reconcile(this, route);
	if (route->failed)
	{
		schedule_retry(this);
	}
	this->mutex->unlock(this->mutex);
}

METHOD(kernel_lagopus_routes_t, remove_, void,
	private_kernel_lagopus_routes_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	enumerator_t *enumerator;
	route_user_t *user;
	route_t *route;

	if (!this->enabled || !wants_route(id, data))
	{
		return;
	}
	this->mutex->lock(this->mutex);
	route = get_route(this, id);
	enumerator = route->users->create_enumerator(route->users);
	while (enumerator->enumerate(enumerator, &user))
	{
		if (user->type == data->type &&
			user->src_ts->equals(user->src_ts, id->src_ts))
		{
			route->users->remove_at(route->users, enumerator);
			user_destroy(user);
			break;
		}
	}
	enumerator->destroy(enumerator);
	reconcile(this, route);
	if (!route->users->get_count(route->users))
	{
		this->routes->remove(this->routes, route);
		route_destroy(route);
	}
	this->mutex->unlock(this->mutex);
}

METHOD(kernel_lagopus_routes_t, flush, void,
	private_kernel_lagopus_routes_t *this)
{
	enumerator_t *enumerator;
	route_user_t *user;
	route_t *route;

	this->mutex->lock(this->mutex);
	enumerator = this->routes->create_enumerator(this->routes);
	while (enumerator->enumerate(enumerator, NULL, &route))
	{
		while (route->users->remove_last(route->users,
										 (void**)&user) == SUCCESS)
		{
			user_destroy(user);
		}
		reconcile(this, route);
		this->routes->remove_at(this->routes, enumerator);
		route_destroy(route);
	}
	enumerator->destroy(enumerator);
	this->mutex->unlock(this->mutex);
}

METHOD(kernel_lagopus_routes_t, set_interface, void,
	private_kernel_lagopus_routes_t *this, char *name)
{
	if (!this->enabled)
	{
		return;
	}
	this->mutex->lock(this->mutex);
	free(this->interface);
	this->interface = strdupnull(name);
	this->mutex->unlock(this->mutex);
	queue_reconcile(this);
}

/**
 * Implementation of kernel_listener_t.roam
 */
static bool roam(kernel_listener_t *listener, bool address)
{	/* called with charon's listeners locked */
	queue_reconcile((private_kernel_lagopus_routes_t*)((char*)listener -
						offsetof(private_kernel_lagopus_routes_t, listener)));
	return TRUE;
}

METHOD(kernel_lagopus_routes_t, destroy, void,
	private_kernel_lagopus_routes_t *this)
{
	charon->kernel->remove_listener(charon->kernel, &this->listener);
	flush(this);
	this->routes->destroy(this->routes);
	this->mutex->destroy(this->mutex);
	free(this->interface);
	free(this);
}

/*
 * Described in header.
 */
kernel_lagopus_routes_t *kernel_lagopus_routes_create()
{
	private_kernel_lagopus_routes_t *this;

	INIT(this,
		.public = {
			.add = _add,
			.remove = _remove_,
			.flush = _flush,
			.set_interface = _set_interface,
			.destroy = _destroy,
		},
		.listener = {
			.roam = roam,
		},
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
		.routes = hashtable_create((hashtable_hash_t)route_hash,
								   (hashtable_equals_t)route_equals, 32),
		.enabled = lib->settings->get_bool(lib->settings,
					"%s.plugins.kernel-lagopus.routes",
					lib->settings->get_bool(lib->settings,
							"%s.install_routes", TRUE, lib->ns), lib->ns),
	);
	charon->kernel->add_listener(charon->kernel, &this->listener);
	return &this->public;
}
