/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_ipsec.h"
#include "kernel_lagopus_compat.h"
#include "kernel_lagopus_expiry.h"
#include "kernel_lagopus_feed.h"
#include "kernel_lagopus_messages.h"
#include "kernel_lagopus_mover.h"
#include "kernel_lagopus_routes.h"
#include "kernel_lagopus_snapshot.h"
#include "kernel_lagopus_udp.h"
#include "kernel_lagopus_upcalls.h"

#include <daemon.h>
#include <sys/random.h>
#include <collections/hashtable.h>

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
	 * SPIs the agent reserved for SAs that do not exist yet, spi => spi
	 */
	hashtable_t *reserved;

	/**
	 * Policies
	 */
	kernel_lagopus_spd_t *spd;

	/**
	 * Connection to the agent
	 */
	kernel_lagopus_feed_t *feed;

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

/**
 * Draw an SPI that no SA uses, mutex held
 */
static bool draw_spi(private_kernel_lagopus_ipsec_t *this, uint8_t protocol,
					 host_t *dst, uint32_t *spi)
{
	do
	{
		if (getrandom(spi, sizeof(*spi), 0) != sizeof(*spi))
		{
			return FALSE;
		}
		*spi = htonl(KERNEL_SPI_MIN |
					 (*spi & (KERNEL_SPI_MAX - KERNEL_SPI_MIN)));
	}
	while (this->sad->find_spi(this->sad, protocol, *spi, dst));
	return TRUE;
}

METHOD(kernel_ipsec_t, get_spi, status_t,
	private_kernel_lagopus_ipsec_t *this, host_t *src, host_t *dst,
	uint8_t protocol, uint32_t *spi)
{
	feed_request_t request = {};
	call_t outcome = CALL_NO_AGENT;
	uintptr_t key;
	bool success = TRUE;

	this->mutex->lock(this->mutex);
	if (this->feed->is_ready(this->feed))
	{
		request.seq = this->feed->next_seq(this->feed);
		outcome = this->feed->call(this->feed, &request,
					message_get_spi_request(request.seq, protocol, src, dst));
	}
	*spi = request.spi;
	if (*spi)
	{
		key = *spi;
		this->reserved->put(this->reserved, (void*)key, (void*)key);
	}
	else
	{	/* failing here costs a whole IKE_SA, failing in add_sa() does not */
		success = draw_spi(this, protocol, dst, spi);
	}
	this->mutex->unlock(this->mutex);
	if (outcome == CALL_REFUSED || outcome == CALL_UNKNOWN)
	{
		DBG1(DBG_KNL, "getting SPI from agent failed: %s", request.reason);
	}
	return success ? SUCCESS : FAILED;
}

METHOD(kernel_ipsec_t, get_cpi, status_t,
	private_kernel_lagopus_ipsec_t *this, host_t *src, host_t *dst,
	uint16_t *cpi)
{
	return NOT_SUPPORTED;
}

/**
 * Confirm an SA
 */
CALLBACK(confirm_sa, void,
	sa_t *sa)
{
	sa->awaiting = FALSE;
}

/**
 * Check what the feed can't express
 */
static bool is_known_mode(ipsec_mode_t mode)
{
	return mode == MODE_TRANSPORT || mode == MODE_TUNNEL || mode == MODE_BEET;
}

/**
 * Announce an SA and wait for the agent to take it, mutex held
 *
 * @param reason	receives why it failed
 */
static bool try_add_sa(private_kernel_lagopus_ipsec_t *this,
					   kernel_ipsec_sa_id_t *id, kernel_ipsec_add_sa_t *data,
					   char reason[256])
{
	feed_request_t request = {
		.commit = confirm_sa,
	};
	uintptr_t key = id->spi;
	call_t outcome;
	sa_t *sa;

	sa = this->sad->add(this->sad, id, data, this->feed->next_seq(this->feed));
	if (!sa)
	{
		snprintf(reason, 256, "there is one with this SPI");
		return FALSE;
	}
	request.seq = sa->seq;
	request.data = sa;
	outcome = this->feed->call(this->feed, &request,
							   message_add_sa(sa, ANNOUNCE_AWAITED));
	if (outcome == CALL_OK)
	{
		if (data->inbound)
		{
			this->reserved->remove(this->reserved, (void*)key);
		}
		sa = this->sad->find_seq(this->sad, request.seq);
		if (sa)
		{	/* once confirmed it may have been flushed */
			this->expiry->schedule(this->expiry, sa);
		}
		return TRUE;
	}
	if (outcome == CALL_UNKNOWN)
	{
		this->feed->send(this->feed,
						 message_del_sa(this->feed->next_seq(this->feed),
										&sa->id, sa->data.inbound));
	}
	this->sad->remove(this->sad, sa);
	snprintf(reason, 256, "%s", request.reason);
	return FALSE;
}

METHOD(kernel_ipsec_t, add_sa, status_t,
	private_kernel_lagopus_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_add_sa_t *data)
{
	char reason[256];
	bool success = FALSE;

	if (is_known_mode(data->mode))
	{
		this->mutex->lock(this->mutex);
		success = try_add_sa(this, id, data, reason);
		this->mutex->unlock(this->mutex);
	}
	else
	{
		snprintf(reason, sizeof(reason), "its mode is not supported");
	}
	if (!success)
	{
		DBG1(DBG_KNL, "installing %sbound SA 0x%08x src %H dst %H failed: %s",
			 data->inbound ? "in" : "out", ntohl(id->spi), id->src, id->dst,
			 reason);
		return FAILED;
	}
	DBG2(DBG_KNL, "installed %sbound SA 0x%08x src %H dst %H",
		 data->inbound ? "in" : "out", ntohl(id->spi), id->src, id->dst);
	return SUCCESS;
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
	status_t status = NOT_FOUND;
	sa_t *sa;

	this->mutex->lock(this->mutex);
	sa = this->sad->find(this->sad, id);
	if (sa)
	{
		*bytes = sa->bytes;
		*packets = sa->packets;
		*time = sa->used;
		status = SUCCESS;
	}
	this->mutex->unlock(this->mutex);
	return status;
}

METHOD(kernel_ipsec_t, del_sa, status_t,
	private_kernel_lagopus_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_del_sa_t *data)
{
	uintptr_t key = id->spi;
	bool reserved, inbound = TRUE;
	sa_t *sa;

	this->mutex->lock(this->mutex);
	sa = this->sad->find(this->sad, id);
	if (sa && sa->awaiting)
	{	/* it belongs to who waits for it */
		sa = NULL;
	}
	if (sa)
	{
		inbound = sa->data.inbound;
		this->sad->remove(this->sad, sa);
	}
	reserved = this->reserved->remove(this->reserved, (void*)key) != NULL;
	if (sa || reserved)
	{	/* charon deletes what failed as well: the agent does not have that */
		this->feed->send(this->feed,
						 message_del_sa(this->feed->next_seq(this->feed), id,
										inbound));
	}
	this->mutex->unlock(this->mutex);

	if (sa)
	{
		DBG2(DBG_KNL, "deleted SA 0x%08x src %H dst %H", ntohl(id->spi),
			 id->src, id->dst);
	}
	return SUCCESS;
}

METHOD(kernel_ipsec_t, flush_sas, status_t,
	private_kernel_lagopus_ipsec_t *this)
{
	this->mutex->lock(this->mutex);
	this->sad->flush(this->sad);
	this->feed->send(this->feed, message_plain(MSG_FLUSH_SAS,
								this->feed->next_seq(this->feed), FALSE));
	this->mutex->unlock(this->mutex);
	return SUCCESS;
}

/**
 * Confirm a policy
 */
CALLBACK(confirm_policy, void,
	policy_user_t *user)
{
	user->awaiting = FALSE;
}

/**
 * Check if the agent has to say yes to a policy.
 *
 * There are no forwarding policies in a dataplane, they are only reported.
 * Shunts are installed when charon starts and only then: if nobody is there
 * to ask, the next snapshot tells.
 */
static bool needs_answer(private_kernel_lagopus_ipsec_t *this,
						 policy_user_t *user)
{
	return user->policy->id.dir != POLICY_FWD &&
		   (user->data.type == POLICY_IPSEC ||
			this->feed->is_ready(this->feed));
}

/**
 * A policy failed: make sure that its CHILD_SA does not outlive it, mutex held
 */
static void condemn_sa(private_kernel_lagopus_ipsec_t *this,
					   kernel_ipsec_policy_id_t *id,
					   kernel_ipsec_manage_policy_t *data)
{
	kernel_ipsec_sa_id_t sa_id = {
		.src = data->src,
		.dst = data->dst,
		.spi = data->sa->esp.use ? data->sa->esp.spi : data->sa->ah.spi,
		.proto = data->sa->esp.use ? IPPROTO_ESP : IPPROTO_AH,
		.mark = id->mark,
		.if_id = id->if_id,
	};
	sa_t *sa;

	if (id->dir == POLICY_OUT && data->type == POLICY_IPSEC)
	{
		sa = this->sad->find(this->sad, &sa_id);
		if (sa)
		{
			this->expiry->condemn(this->expiry, sa);
		}
	}
}

/**
 * Announce a policy and wait for the agent to take it if it has to, mutex held
 *
 * @param reason	receives why it failed
 */
static bool try_add_policy(private_kernel_lagopus_ipsec_t *this,
						   kernel_ipsec_policy_id_t *id,
						   kernel_ipsec_manage_policy_t *data, char reason[256])
{
	feed_request_t request = {
		.commit = confirm_policy,
	};
	policy_user_t *user;
	call_t outcome;

	user = this->spd->add(this->spd, id, data,
						  this->feed->next_seq(this->feed));
	if (!needs_answer(this, user))
	{
		user->awaiting = FALSE;
		this->feed->send(this->feed, message_add_policy(user, ANNOUNCE_DONE));
		return TRUE;
	}
	request.seq = user->seq;
	request.data = user;
	outcome = this->feed->call(this->feed, &request,
							   message_add_policy(user, ANNOUNCE_AWAITED));
	if (outcome == CALL_OK)
	{
		return TRUE;
	}
	if (outcome == CALL_UNKNOWN)
	{
		this->feed->send(this->feed,
						 message_del_policy(this->feed->next_seq(this->feed),
											user));
	}
	this->spd->remove(this->spd, user);
	condemn_sa(this, id, data);
	snprintf(reason, 256, "%s", request.reason);
	return FALSE;
}

METHOD(kernel_ipsec_t, add_policy, status_t,
	private_kernel_lagopus_ipsec_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	char reason[256];
	bool success;

	this->mutex->lock(this->mutex);
	success = try_add_policy(this, id, data, reason);
	this->mutex->unlock(this->mutex);

	if (!success)
	{
		DBG1(DBG_KNL, "installing policy %R === %R %N failed: %s", id->src_ts,
			 id->dst_ts, policy_dir_names, id->dir, reason);
		return FAILED;
	}
	this->routes->add(this->routes, id, data);
	return SUCCESS;
}

METHOD(kernel_ipsec_t, query_policy, status_t,
	private_kernel_lagopus_ipsec_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_query_policy_t *data, time_t *use_time)
{
	bool found;

	this->mutex->lock(this->mutex);
	found = this->spd->query(this->spd, id, use_time);
	this->mutex->unlock(this->mutex);
	return found ? SUCCESS : NOT_FOUND;
}

METHOD(kernel_ipsec_t, del_policy, status_t,
	private_kernel_lagopus_ipsec_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	policy_user_t *user;

	this->mutex->lock(this->mutex);
	user = this->spd->find(this->spd, id, data);
	if (user)
	{
		this->feed->send(this->feed,
						 message_del_policy(this->feed->next_seq(this->feed),
											user));
		this->spd->remove(this->spd, user);
	}
	this->mutex->unlock(this->mutex);

	if (user)
	{
		this->routes->remove(this->routes, id, data);
	}
	return SUCCESS;
}

METHOD(kernel_ipsec_t, flush_policies, status_t,
	private_kernel_lagopus_ipsec_t *this)
{
	this->mutex->lock(this->mutex);
	this->spd->flush(this->spd);
	this->feed->send(this->feed, message_plain(MSG_FLUSH_POLICIES,
								this->feed->next_seq(this->feed), FALSE));
	this->mutex->unlock(this->mutex);

	this->routes->flush(this->routes);
	return SUCCESS;
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
	DESTROY_IF(this->expiry);
	DESTROY_IF(this->mover);
	this->routes->destroy(this->routes);
	this->spd->destroy(this->spd);
	this->sad->destroy(this->sad);
	this->reserved->destroy(this->reserved);
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
			.message = message,
			.ready = ready,
		},
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
		.sad = kernel_lagopus_sad_create(),
		.reserved = hashtable_create(hashtable_hash_ptr,
									 hashtable_equals_ptr, 8),
		.spd = kernel_lagopus_spd_create(),
		.routes = kernel_lagopus_routes_create(),
	);

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
	return &this->public;
}
