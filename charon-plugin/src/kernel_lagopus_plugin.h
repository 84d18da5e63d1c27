/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus kernel_lagopus
 * @ingroup cplugins
 *
 * @defgroup kernel_lagopus_plugin kernel_lagopus_plugin
 * @{ @ingroup kernel_lagopus
 */

#ifndef KERNEL_LAGOPUS_PLUGIN_H_
#define KERNEL_LAGOPUS_PLUGIN_H_

#include <plugins/plugin.h>

typedef struct kernel_lagopus_plugin_t kernel_lagopus_plugin_t;

/**
 * IPsec backend that hands SAs and policies to an agent, which keeps a
 * dataplane equal to them.
 */
struct kernel_lagopus_plugin_t {

	/**
	 * Implements plugin interface
	 */
	plugin_t plugin;
};

#endif /** KERNEL_LAGOPUS_PLUGIN_H_ @}*/
