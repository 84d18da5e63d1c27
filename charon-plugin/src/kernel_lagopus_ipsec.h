/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_ipsec kernel_lagopus_ipsec
 * @{ @ingroup kernel_lagopus
 */

#ifndef KERNEL_LAGOPUS_IPSEC_H_
#define KERNEL_LAGOPUS_IPSEC_H_

#include <kernel/kernel_ipsec.h>

typedef struct kernel_lagopus_ipsec_t kernel_lagopus_ipsec_t;

/**
 * IPsec backend of charon: keeps the tables, asks the agent where charon has
 * to know the answer, and answers everything else itself.
 */
struct kernel_lagopus_ipsec_t {

	/**
	 * Implements kernel_ipsec_t interface
	 */
	kernel_ipsec_t interface;
};

/**
 * Create the backend.
 *
 * @return			kernel_lagopus_ipsec_t instance, NULL if it can't run
 */
kernel_lagopus_ipsec_t *kernel_lagopus_ipsec_create();

#endif /** KERNEL_LAGOPUS_IPSEC_H_ @}*/
