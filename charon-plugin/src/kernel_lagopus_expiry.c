/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_expiry.h"

#include <daemon.h>
#include <processing/jobs/callback_job.h>

/** How often it is checked if an expire still has to be held back, in s */
#define HOLD_INTERVAL 1

/** How long charon has to delete an SA by itself that failed, in ms */
#define CONDEMN_DELAY 500

typedef struct private_kernel_lagopus_expiry_t private_kernel_lagopus_expiry_t;
typedef struct expire_t expire_t;

/**
 * Private data
 */
struct private_kernel_lagopus_expiry_t {

	/**
	 * Public interface
	 */
	kernel_lagopus_expiry_t public;

	/**
	 * Mutex of the table of SAs
	 */
	mutex_t *mutex;

	/**
	 * SAs
	 */
	kernel_lagopus_sad_t *sad;

	/**
	 * Feed
	 */
	kernel_lagopus_feed_t *feed;
};

/**
 * An expire that is due some time. Owned by a job, and plain data: charon may
 * free it after the plugin is gone.
 */
struct expire_t {
	/** watcher */
	private_kernel_lagopus_expiry_t *expiry;
	/** number of the SA */
	uint64_t seq;
	/** TRUE if the SA ends */
	bool hard;
	/** TRUE if it is pointless as long as no agent is ready */
	bool needs_agent;
	/** TRUE if it was due before */
	bool held;
};

/**
 * Job for an expire that is due
 */
static job_requeue_t raise_expire(expire_t *this)
{
	private_kernel_lagopus_expiry_t *expiry = this->expiry;
	host_t *dst = NULL;
	uint32_t spi;
	uint8_t protocol;
	bool hold = FALSE;
	sa_t *sa;

	expiry->mutex->lock(expiry->mutex);
	sa = expiry->sad->find_seq(expiry->sad, this->seq);
	if (sa)
	{
		spi = sa->id.spi;
		protocol = sa->id.proto;
		dst = sa->id.dst->clone(sa->id.dst);
		hold = this->needs_agent && !expiry->feed->is_ready(expiry->feed);
	}
	expiry->mutex->unlock(expiry->mutex);

	if (!dst)
	{
		return JOB_REQUEUE_NONE;
	}
	if (hold)
	{
		if (!this->held)
		{
			DBG1(DBG_KNL, "holding back %s of SA 0x%08x until an agent is "
				 "ready", this->hard ? "end" : "rekeying", ntohl(spi));
			this->held = TRUE;
		}
		dst->destroy(dst);
		return JOB_RESCHEDULE(HOLD_INTERVAL);
	}
	charon->kernel->expire(charon->kernel, protocol, spi, dst, this->hard);
	dst->destroy(dst);
	return JOB_REQUEUE_NONE;
}

/**
 * Create a job for an expire
 */
static job_t *create_job(private_kernel_lagopus_expiry_t *this, sa_t *sa,
						 bool hard, bool needs_agent)
{
	expire_t *expire;

	INIT(expire,
		.expiry = this,
		.seq = sa->seq,
		.hard = hard,
		.needs_agent = needs_agent,
	);
	return (job_t*)callback_job_create((callback_job_cb_t)raise_expire, expire,
									   free, NULL);
}

METHOD(kernel_lagopus_expiry_t, schedule, void,
	private_kernel_lagopus_expiry_t *this, sa_t *sa)
{
	/* charon took a random part off the soft lifetime already */
	uint64_t soft = sa->data.lifetime->time.rekey;
	uint64_t hard = sa->data.lifetime->time.life;

	if (soft)
	{
		lib->scheduler->schedule_job(lib->scheduler,
									 create_job(this, sa, FALSE, TRUE),
									 min(soft, UINT32_MAX));
	}
	if (hard)
	{
		lib->scheduler->schedule_job(lib->scheduler,
									 create_job(this, sa, TRUE, FALSE),
									 min(hard, UINT32_MAX));
	}
}

METHOD(kernel_lagopus_expiry_t, condemn, void,
	private_kernel_lagopus_expiry_t *this, sa_t *sa)
{
	lib->scheduler->schedule_job_ms(lib->scheduler,
									create_job(this, sa, TRUE, TRUE),
									CONDEMN_DELAY);
}

METHOD(kernel_lagopus_expiry_t, destroy, void,
	private_kernel_lagopus_expiry_t *this)
{
	free(this);
}

/*
 * Described in header.
 */
kernel_lagopus_expiry_t *kernel_lagopus_expiry_create(mutex_t *mutex,
													kernel_lagopus_sad_t *sad,
													kernel_lagopus_feed_t *feed)
{
	private_kernel_lagopus_expiry_t *this;

	INIT(this,
		.public = {
			.schedule = _schedule,
			.condemn = _condemn,
			.destroy = _destroy,
		},
		.mutex = mutex,
		.sad = sad,
		.feed = feed,
	);
	return &this->public;
}
