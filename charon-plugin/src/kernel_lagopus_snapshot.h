/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_snapshot kernel_lagopus_snapshot
 * @{ @ingroup kernel_lagopus
 */

#ifndef KERNEL_LAGOPUS_SNAPSHOT_H_
#define KERNEL_LAGOPUS_SNAPSHOT_H_

#include "kernel_lagopus_sad.h"
#include "kernel_lagopus_spd.h"

/**
 * Add a frame for every confirmed SA and policy, in the order in which they
 * were installed. The tables' mutex is held.
 *
 * @param frames		list to add to (chunk_t*, allocated, may hold keys)
 */
void snapshot_tables(kernel_lagopus_sad_t *sad, kernel_lagopus_spd_t *spd,
					 linked_list_t *frames);

#endif /** KERNEL_LAGOPUS_SNAPSHOT_H_ @}*/
