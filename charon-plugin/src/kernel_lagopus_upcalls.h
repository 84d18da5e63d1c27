/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_upcalls kernel_lagopus_upcalls
 * @{ @ingroup kernel_lagopus
 *
 * What the agent reports: handed on to charon, or kept for its questions.
 */

#ifndef KERNEL_LAGOPUS_UPCALLS_H_
#define KERNEL_LAGOPUS_UPCALLS_H_

#include <threading/mutex.h>

#include "kernel_lagopus_sad.h"
#include "kernel_lagopus_spd.h"

/**
 * Handle EXPIRE, ACQUIRE, MAPPING, USAGE or POLICY_USAGE.
 *
 * Charon only queues jobs for these, so this may run in the thread that reads
 * from the agent.
 *
 * @param message		message
 * @param mutex			mutex of the tables, not held
 * @param sad			SAs
 * @param spd			policies
 */
void upcall(feed_message_t *message, mutex_t *mutex, kernel_lagopus_sad_t *sad,
			kernel_lagopus_spd_t *spd);

#endif /** KERNEL_LAGOPUS_UPCALLS_H_ @}*/
