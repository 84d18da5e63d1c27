/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_upcalls.h"
#include "kernel_lagopus_compat.h"

#include <daemon.h>

/**
 * Check if the SA a message is about is (still) there
 */
static bool has_sa(mutex_t *mutex, kernel_lagopus_sad_t *sad, uint8_t protocol,
				   uint32_t spi, host_t *dst)
{
	sa_t *sa;
	bool found;

	mutex->lock(mutex);
	sa = sad->find_spi(sad, protocol, spi, dst);
	found = sa && !sa->awaiting;
	mutex->unlock(mutex);
	return found;
}

/**
 * Handle EXPIRE and MAPPING
 */
static void sa_event(feed_message_t *message, mutex_t *mutex,
					 kernel_lagopus_sad_t *sad)
{
	uint8_t protocol = message_get_uint(message, TAG_PROTOCOL);
	uint32_t spi = message_get_spi(message, TAG_SPI);
	host_t *dst = message_get_host(message, TAG_DST), *remote;

	if (!has_sa(mutex, sad, protocol, spi, dst))
	{
		DBG2(DBG_KNL, "ignoring agent's message about unknown SA 0x%08x",
			 ntohl(spi));
	}
	else if (message->type == MSG_EXPIRE)
	{
		charon->kernel->expire(charon->kernel, protocol, spi, dst,
							   message_get_uint(message, TAG_HARD));
	}
	else
	{
		remote = message_get_host(message, TAG_NEW_SRC);
		charon->kernel->mapping(charon->kernel, protocol, spi, dst, remote);
		remote->destroy(remote);
	}
	dst->destroy(dst);
}

/**
 * Handle ACQUIRE
 */
static void acquire(feed_message_t *message)
{
	kernel_acquire_data_t data = {
		.src = message_get_ts(message, TAG_SRC_TS),
		.dst = message_get_ts(message, TAG_DST_TS),
		COMPAT_ACQUIRE_INIT
	};

	charon->kernel->acquire(charon->kernel,
							message_get_uint(message, TAG_REQID), &data);
	data.src->destroy(data.src);
	data.dst->destroy(data.dst);
}

/**
 * Handle USAGE
 */
static void usage(feed_message_t *message, mutex_t *mutex, kernel_lagopus_sad_t *sad)
{
	usage_entry_t entry;
	size_t offset = 0;

	mutex->lock(mutex);
	while (message_next_usage(message, &offset, &entry))
	{
		sad->account(sad, &entry);
		entry.dst->destroy(entry.dst);
	}
	mutex->unlock(mutex);
}

/**
 * Handle POLICY_USAGE
 */
static void policy_usage(feed_message_t *message, mutex_t *mutex,
						 kernel_lagopus_spd_t *spd)
{
	policy_usage_entry_t entry;
	size_t offset = 0;

	mutex->lock(mutex);
	while (message_next_policy_usage(message, &offset, &entry))
	{
		spd->account(spd, &entry);
		entry.src_ts->destroy(entry.src_ts);
		entry.dst_ts->destroy(entry.dst_ts);
	}
	mutex->unlock(mutex);
}

/*
 * Described in header.
 */
void upcall(feed_message_t *message, mutex_t *mutex, kernel_lagopus_sad_t *sad,
			kernel_lagopus_spd_t *spd)
{
	switch (message->type)
	{
		case MSG_EXPIRE:
		case MSG_MAPPING:
			sa_event(message, mutex, sad);
			break;
		case MSG_ACQUIRE:
			acquire(message);
			break;
		case MSG_USAGE:
			usage(message, mutex, sad);
			break;
		case MSG_POLICY_USAGE:
			policy_usage(message, mutex, spd);
			break;
		default:
			break;
	}
}
