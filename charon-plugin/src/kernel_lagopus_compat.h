/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_compat kernel_lagopus_compat
 * @{ @ingroup kernel_lagopus
 *
 * What differs between strongSwan 5.9.8 and 6.x, in one place.
 */

#ifndef KERNEL_LAGOPUS_COMPAT_H_
#define KERNEL_LAGOPUS_COMPAT_H_

#include <ipsec/ipsec_types.h>
#include <kernel/kernel_interface.h>
#include <plugins/plugin.h>

#ifdef CPU_ID_MAX

/* 6.x: SAs may belong to one CPU, query_sa() is trusted for use times */
#define COMPAT_SA_CPU(data) ((data)->cpu)
#define COMPAT_NO_CPU CPU_ID_MAX
#define COMPAT_ACQUIRE_INIT .cpu = CPU_ID_MAX,
#define COMPAT_FEATURES KERNEL_SA_USE_TIME
#define COMPAT_HW_OFFLOAD_ON(mode) \
	((mode) == HW_OFFLOAD_CRYPTO || (mode) == HW_OFFLOAD_PACKET)

#else

#define COMPAT_SA_CPU(data) (UINT32_MAX)
#define COMPAT_NO_CPU UINT32_MAX
#define COMPAT_ACQUIRE_INIT
#define COMPAT_FEATURES 0
#define COMPAT_HW_OFFLOAD_ON(mode) ((mode) == HW_OFFLOAD_YES)

#endif

#ifndef PLUGIN_DEFINE
#define PLUGIN_DEFINE(name) plugin_t *name##_plugin_create()
#endif

#endif /** KERNEL_LAGOPUS_COMPAT_H_ @}*/
