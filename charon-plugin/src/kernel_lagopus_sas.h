/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_sas kernel_lagopus_sas
 * @{ @ingroup kernel_lagopus
 *
 * What charon asks about SAs, except for moving them: installing one waits
 * for the agent, everything else is answered from the table.
 */

#ifndef KERNEL_LAGOPUS_SAS_H_
#define KERNEL_LAGOPUS_SAS_H_

#include <threading/mutex.h>

#include "kernel_lagopus_expiry.h"
#include "kernel_lagopus_feed.h"
#include "kernel_lagopus_sad.h"
#include "kernel_lagopus_setups.h"

typedef struct kernel_lagopus_sas_t kernel_lagopus_sas_t;

/**
 * Methods of kernel_ipsec_t for SAs.
 */
struct kernel_lagopus_sas_t {

	/**
	 * Get an SPI: the agent's, or a random one if it gives none.
	 */
	status_t (*get_spi)(kernel_lagopus_sas_t *this, host_t *src, host_t *dst,
						uint8_t protocol, uint32_t *spi);

	/**
	 * Install an SA, wait for the agent.
	 */
	status_t (*add)(kernel_lagopus_sas_t *this, kernel_ipsec_sa_id_t *id,
					kernel_ipsec_add_sa_t *data);

	/**
	 * Get the use of an SA. Never waits: called with charon's bus locked.
	 */
	status_t (*query)(kernel_lagopus_sas_t *this, kernel_ipsec_sa_id_t *id,
					  uint64_t *bytes, uint64_t *packets, time_t *time);

	/**
	 * Delete an SA, or give back its SPI if it was never installed.
	 */
	status_t (*del)(kernel_lagopus_sas_t *this, kernel_ipsec_sa_id_t *id);

	/**
	 * Delete all SAs.
	 */
	status_t (*flush)(kernel_lagopus_sas_t *this);

	/**
	 * Destroy this.
	 */
	void (*destroy)(kernel_lagopus_sas_t *this);
};

/**
 * Create an object for these methods.
 *
 * @param mutex		mutex of table and feed, not held when called
 * @param sad		table
 * @param feed		connection to the agent
 * @param expiry	lifetimes
 * @param setups	where those that fail are noted
 */
kernel_lagopus_sas_t *kernel_lagopus_sas_create(mutex_t *mutex,
												kernel_lagopus_sad_t *sad,
												kernel_lagopus_feed_t *feed,
												kernel_lagopus_expiry_t *expiry,
												kernel_lagopus_setups_t *setups);

#endif /** KERNEL_LAGOPUS_SAS_H_ @}*/
