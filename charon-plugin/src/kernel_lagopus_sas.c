/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_sas.h"
#include "kernel_lagopus_messages.h"

#include <collections/hashtable.h>
#include <kernel/kernel_interface.h>
#include <sys/random.h>

typedef struct private_kernel_lagopus_sas_t private_kernel_lagopus_sas_t;

/**
 * Private data
 */
struct private_kernel_lagopus_sas_t {

	/**
	 * Public interface
	 */
	kernel_lagopus_sas_t public;

	/**
	 * Mutex of table and feed
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
	 * Connection to the agent
	 */
	kernel_lagopus_feed_t *feed;

	/**
	 * Lifetimes of SAs
	 */
	kernel_lagopus_expiry_t *expiry;

	/**
	 * CHILD_SAs that could not be set up
	 */
	kernel_lagopus_setups_t *setups;
};

/**
 * Draw an SPI that no SA uses, mutex held
 */
static bool draw_spi(private_kernel_lagopus_sas_t *this, uint8_t protocol,
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

METHOD(kernel_lagopus_sas_t, get_spi, status_t,
	private_kernel_lagopus_sas_t *this, host_t *src, host_t *dst,
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
 * @param failure	receives why it failed
 */
static bool try_add_sa(private_kernel_lagopus_sas_t *this,
					   kernel_ipsec_sa_id_t *id, kernel_ipsec_add_sa_t *data,
					   setup_failure_t *failure)
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
		snprintf(failure->reason, sizeof(failure->reason),
				 "there is one with this SPI");
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
	snprintf(failure->reason, sizeof(failure->reason), "%s", request.reason);
	failure->permanent = request.permanent;
	return FALSE;
}

METHOD(kernel_lagopus_sas_t, add, status_t,
	private_kernel_lagopus_sas_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_add_sa_t *data)
{
	setup_failure_t failure = {
		.reason = "its mode is not supported",
		.permanent = TRUE,
	};
	setup_step_t step = {
		.spi = id->spi,
		.inbound = data->inbound,
		.src_ts = data->src_ts,
		.dst_ts = data->dst_ts,
	};
	bool success = FALSE;

	if (is_known_mode(data->mode))
	{
		failure.permanent = FALSE;
		this->mutex->lock(this->mutex);
		success = try_add_sa(this, id, data, &failure);
		this->mutex->unlock(this->mutex);
	}
	if (!success)
	{
		DBG1(DBG_KNL, "installing %sbound SA 0x%08x src %H dst %H failed: %s",
			 data->inbound ? "in" : "out", ntohl(id->spi), id->src, id->dst,
			 failure.reason);
		this->setups->failed(this->setups, this->feed, &step, &failure);
		return FAILED;
	}
	DBG2(DBG_KNL, "installed %sbound SA 0x%08x src %H dst %H",
		 data->inbound ? "in" : "out", ntohl(id->spi), id->src, id->dst);
	if (data->inbound)
	{
		this->setups->started(this->setups, &step);
	}
	return SUCCESS;
}

METHOD(kernel_lagopus_sas_t, query, status_t,
	private_kernel_lagopus_sas_t *this, kernel_ipsec_sa_id_t *id,
	uint64_t *bytes, uint64_t *packets, time_t *time)
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

METHOD(kernel_lagopus_sas_t, del, status_t,
	private_kernel_lagopus_sas_t *this, kernel_ipsec_sa_id_t *id)
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

METHOD(kernel_lagopus_sas_t, flush, status_t,
	private_kernel_lagopus_sas_t *this)
{
	this->mutex->lock(this->mutex);
	this->sad->flush(this->sad);
	this->feed->send(this->feed, message_plain(MSG_FLUSH_SAS,
								this->feed->next_seq(this->feed), FALSE));
	this->mutex->unlock(this->mutex);
	return SUCCESS;
}

METHOD(kernel_lagopus_sas_t, destroy, void,
	private_kernel_lagopus_sas_t *this)
{
	this->reserved->destroy(this->reserved);
	free(this);
}

/*
 * Described in header.
 */
kernel_lagopus_sas_t *kernel_lagopus_sas_create(mutex_t *mutex,
												kernel_lagopus_sad_t *sad,
												kernel_lagopus_feed_t *feed,
												kernel_lagopus_expiry_t *expiry,
												kernel_lagopus_setups_t *setups)
{
	private_kernel_lagopus_sas_t *this;

	INIT(this,
		.public = {
			.get_spi = _get_spi,
			.add = _add,
			.query = _query,
			.del = _del,
			.flush = _flush,
			.destroy = _destroy,
		},
		.mutex = mutex,
		.sad = sad,
		.reserved = hashtable_create(hashtable_hash_ptr,
									 hashtable_equals_ptr, 8),
		.feed = feed,
		.expiry = expiry,
		.setups = setups,
	);
	return &this->public;
}
