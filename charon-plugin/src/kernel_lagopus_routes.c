/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_routes.h"
#include "kernel_lagopus_route.h"

#include <daemon.h>
#include <collections/hashtable.h>
#include <processing/jobs/callback_job.h>
#include <threading/mutex.h>

/** How soon a route that could not be installed is tried again, in s */
#define ROUTE_RETRY_INTERVAL 1

typedef struct private_kernel_lagopus_routes_t private_kernel_lagopus_routes_t;

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

static u_int route_hash(route_t *route)
{
	return chunk_hash_inc(route->net->get_address(route->net),
						  chunk_hash(chunk_from_thing(route->prefixlen)));
}

static bool route_equals(route_t *a, route_t *b)
{
	return a->prefixlen == b->prefixlen && a->net->ip_equals(a->net, b->net);
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
		route_update(route, this->interface);
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
	route = route_create(lookup.net, lookup.prefixlen);
	this->routes->put(this->routes, route, route);
	return route;
}

METHOD(kernel_lagopus_routes_t, add, void,
	private_kernel_lagopus_routes_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	route_t *route;

	if (!this->enabled || !route_is_wanted(id, data))
	{
		return;
	}
	this->mutex->lock(this->mutex);
	route = get_route(this, id);
	route_add_user(route, data->type, id->src_ts);
	route_update(route, this->interface);
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
	route_t *route;
	bool unused;

	if (!this->enabled || !route_is_wanted(id, data))
	{
		return;
	}
	this->mutex->lock(this->mutex);
	route = get_route(this, id);
	unused = route_remove_user(route, data->type, id->src_ts);
	route_update(route, this->interface);
	if (unused)
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
	route_t *route;

	this->mutex->lock(this->mutex);
	enumerator = this->routes->create_enumerator(this->routes);
	while (enumerator->enumerate(enumerator, NULL, &route))
	{
		this->routes->remove_at(this->routes, enumerator);
		route_remove_users(route);
		route_update(route, this->interface);
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
