/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_ipsec.h"
#include "kernel_lagopus_compat.h"
#include "kernel_lagopus_expiry.h"
#include "kernel_lagopus_feed.h"
#include "kernel_lagopus_mover.h"
#include "kernel_lagopus_policies.h"
#include "kernel_lagopus_routes.h"
#include "kernel_lagopus_sas.h"
#include "kernel_lagopus_setups.h"
#include "kernel_lagopus_snapshot.h"
#include "kernel_lagopus_udp.h"
#include "kernel_lagopus_upcalls.h"

typedef struct private_kernel_lagopus_ipsec_t private_kernel_lagopus_ipsec_t;

/**
 * Private data
 */
struct private_kernel_lagopus_ipsec_t {

	/**
	 * Public interface
	 */
	kernel_lagopus_ipsec_t public;

	/**
	 * Where the feed finds us
	 */
	feed_handler_t handler;

	/**
	 * Guards tables and feed. Not held while waiting, nor while calling into
	 * charon: query_sa() needs it with charon's bus locked.
	 */
	mutex_t *mutex;

	/**
	 * SAs
	 */
	kernel_lagopus_sad_t *sad;

	/**
	 * Policies
	 */
	kernel_lagopus_spd_t *spd;

	/**
	 * CHILD_SAs that could not be set up
	 */
	kernel_lagopus_setups_t *setups;

	/**
	 * Connection to the agent
	 */
	kernel_lagopus_feed_t *feed;

	/**
	 * What charon asks about SAs, and about policies
	 */
	kernel_lagopus_sas_t *sas;
	kernel_lagopus_policies_t *policies;

	/**
	 * Moves SAs
	 */
	kernel_lagopus_mover_t *mover;

	/**
	 * Lifetimes of SAs
	 */
	kernel_lagopus_expiry_t *expiry;

	/**
	 * Routes for policies
	 */
	kernel_lagopus_routes_t *routes;
};

METHOD(kernel_ipsec_t, get_features, kernel_feature_t,
	private_kernel_lagopus_ipsec_t *this)
{
	return KERNEL_POLICY_SPI | COMPAT_FEATURES;
}

METHOD(kernel_ipsec_t, get_spi, status_t,
	private_kernel_lagopus_ipsec_t *this, host_t *src, host_t *dst,
	uint8_t protocol, uint32_t *spi)
{
	return this->sas->get_spi(this->sas, src, dst, protocol, spi);
}

METHOD(kernel_ipsec_t, get_cpi, status_t,
	private_kernel_lagopus_ipsec_t *this, host_t *src, host_t *dst,
	uint16_t *cpi)
{
	return NOT_SUPPORTED;
}

METHOD(kernel_ipsec_t, add_sa, status_t,
	private_kernel_lagopus_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_add_sa_t *data)
{
	return this->sas->add(this->sas, id, data);
}

METHOD(kernel_ipsec_t, update_sa, status_t,
	private_kernel_lagopus_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_update_sa_t *data)
{
	return this->mover->update(this->mover, id, data);
}

METHOD(kernel_ipsec_t, query_sa, status_t,
	private_kernel_lagopus_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_query_sa_t *data, uint64_t *bytes, uint64_t *packets,
	time_t *time)
{
	return this->sas->query(this->sas, id, bytes, packets, time);
}

METHOD(kernel_ipsec_t, del_sa, status_t,
	private_kernel_lagopus_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_del_sa_t *data)
{
	return this->sas->del(this->sas, id);
}

METHOD(kernel_ipsec_t, flush_sas, status_t,
	private_kernel_lagopus_ipsec_t *this)
{
	return this->sas->flush(this->sas);
}

METHOD(kernel_ipsec_t, add_policy, status_t,
	private_kernel_lagopus_ipsec_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	return this->policies->add(this->policies, id, data);
}

METHOD(kernel_ipsec_t, query_policy, status_t,
	private_kernel_lagopus_ipsec_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_query_policy_t *data, time_t *use_time)
{
	return this->policies->query(this->policies, id, use_time);
}

METHOD(kernel_ipsec_t, del_policy, status_t,
	private_kernel_lagopus_ipsec_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	return this->policies->del(this->policies, id, data);
}

METHOD(kernel_ipsec_t, flush_policies, status_t,
	private_kernel_lagopus_ipsec_t *this)
{
	return this->policies->flush(this->policies);
}

METHOD(kernel_ipsec_t, bypass_socket, bool,
	private_kernel_lagopus_ipsec_t *this, int fd, int family)
{	/* marked sockets do not see our routes, see docs/design/charon-plugin.md */
	return TRUE;
}

METHOD(kernel_ipsec_t, enable_udp_decap, bool,
	private_kernel_lagopus_ipsec_t *this, int fd, int family, uint16_t port)
{
	return udp_keep_only_ike(fd);
}

/**
 * Get the backend a feed belongs to
 */
static private_kernel_lagopus_ipsec_t *get_backend(feed_handler_t *handler)
{
	return (private_kernel_lagopus_ipsec_t*)((char*)handler -
						offsetof(private_kernel_lagopus_ipsec_t, handler));
}

/**
 * Implementation of feed_handler_t.snapshot
 */
static void snapshot(feed_handler_t *handler, linked_list_t *frames)
{
	private_kernel_lagopus_ipsec_t *this = get_backend(handler);

	snapshot_tables(this->sad, this->spd, frames);
}

/**
 * Implementation of feed_handler_t.failures
 */
static void failures(feed_handler_t *handler, linked_list_t *frames)
{
	private_kernel_lagopus_ipsec_t *this = get_backend(handler);

	this->setups->add_frames(this->setups, frames);
}

/**
 * Implementation of feed_handler_t.message
 */
static void message(feed_handler_t *handler, feed_message_t *message)
{
	private_kernel_lagopus_ipsec_t *this = get_backend(handler);

	upcall(message, this->mutex, this->sad, this->spd);
}

/**
 * Implementation of feed_handler_t.ready
 */
static void ready(feed_handler_t *handler, char *interface)
{
	private_kernel_lagopus_ipsec_t *this = get_backend(handler);

	this->routes->set_interface(this->routes, interface);
}

METHOD(kernel_ipsec_t, destroy, void,
	private_kernel_lagopus_ipsec_t *this)
{
	DESTROY_IF(this->feed);
	DESTROY_IF(this->sas);
	DESTROY_IF(this->policies);
	DESTROY_IF(this->mover);
	DESTROY_IF(this->expiry);
	this->routes->destroy(this->routes);
	this->setups->destroy(this->setups);
	this->spd->destroy(this->spd);
	this->sad->destroy(this->sad);
	this->mutex->destroy(this->mutex);
	free(this);
}

/*
 * Described in header.
 */
kernel_lagopus_ipsec_t *kernel_lagopus_ipsec_create()
{
	private_kernel_lagopus_ipsec_t *this;

	INIT(this,
		.public = {
			.interface = {
				.get_features = _get_features,
				.get_spi = _get_spi,
				.get_cpi = _get_cpi,
				.add_sa = _add_sa,
				.update_sa = _update_sa,
				.query_sa = _query_sa,
				.del_sa = _del_sa,
				.flush_sas = _flush_sas,
				.add_policy = _add_policy,
				.query_policy = _query_policy,
				.del_policy = _del_policy,
				.flush_policies = _flush_policies,
				.bypass_socket = _bypass_socket,
				.enable_udp_decap = _enable_udp_decap,
				.destroy = _destroy,
			},
		},
		.handler = {
			.snapshot = snapshot,
			.failures = failures,
			.message = message,
			.ready = ready,
		},
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
		.sad = kernel_lagopus_sad_create(),
		.spd = kernel_lagopus_spd_create(),
		.routes = kernel_lagopus_routes_create(),
	);
	this->setups = kernel_lagopus_setups_create(this->mutex);

	this->feed = kernel_lagopus_feed_create(this->mutex, &this->handler);
	if (!this->feed)
	{
		destroy(this);
		return NULL;
	}
	this->mover = kernel_lagopus_mover_create(this->mutex, this->sad,
											  this->feed);
	this->expiry = kernel_lagopus_expiry_create(this->mutex, this->sad,
												this->feed);
	this->sas = kernel_lagopus_sas_create(this->mutex, this->sad, this->feed,
										  this->expiry, this->setups);
	this->policies = kernel_lagopus_policies_create(this->mutex, this->spd,
										this->sad, this->feed, this->expiry,
										this->routes, this->setups);
	return &this->public;
}
