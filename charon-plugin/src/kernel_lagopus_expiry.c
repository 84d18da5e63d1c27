/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_expiry.h"

#include <daemon.h>
#include <processing/jobs/callback_job.h>

/** How often it is checked if an expire still has to be held back, in s */
#define HOLD_INTERVAL 1

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
		hold = !this->hard && !expiry->feed->is_ready(expiry->feed);
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
			DBG1(DBG_KNL, "holding back rekeying of SA 0x%08x until an agent "
				 "is ready", ntohl(spi));
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
 * Schedule an expire, unless there is no such limit
 */
static void schedule_expire(private_kernel_lagopus_expiry_t *this,
							uint64_t seq, uint64_t seconds, bool hard)
{
	expire_t *expire;

	if (seconds)
	{
		INIT(expire,
			.expiry = this,
			.seq = seq,
			.hard = hard,
		);
		lib->scheduler->schedule_job(lib->scheduler,
				(job_t*)callback_job_create((callback_job_cb_t)raise_expire, expire,
											free, NULL),
				min(seconds, UINT32_MAX));
	}
}

METHOD(kernel_lagopus_expiry_t, schedule, void,
	private_kernel_lagopus_expiry_t *this, sa_t *sa)
{
	/* charon took a random part off the soft lifetime already */
	schedule_expire(this, sa->seq, sa->data.lifetime->time.rekey, FALSE);
	schedule_expire(this, sa->seq, sa->data.lifetime->time.life, TRUE);
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
			.destroy = _destroy,
		},
		.mutex = mutex,
		.sad = sad,
		.feed = feed,
	);
	return &this->public;
}
