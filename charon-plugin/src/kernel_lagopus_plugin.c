/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_plugin.h"
#include "kernel_lagopus_compat.h"
#include "kernel_lagopus_ipsec.h"

typedef struct private_kernel_lagopus_plugin_t private_kernel_lagopus_plugin_t;

/**
 * Private data
 */
struct private_kernel_lagopus_plugin_t {

	/**
	 * Public interface
	 */
	kernel_lagopus_plugin_t public;
};

METHOD(plugin_t, get_name, char*,
	private_kernel_lagopus_plugin_t *this)
{
	return "kernel-lagopus";
}

METHOD(plugin_t, get_features, int,
	private_kernel_lagopus_plugin_t *this, plugin_feature_t *features[])
{
	static plugin_feature_t f[] = {
		PLUGIN_CALLBACK(kernel_ipsec_register, kernel_lagopus_ipsec_create),
			PLUGIN_PROVIDE(CUSTOM, "kernel-ipsec"),
	};
	*features = f;
	return countof(f);
}

METHOD(plugin_t, destroy, void,
	private_kernel_lagopus_plugin_t *this)
{
	free(this);
}

/* charon finds it by name; nothing else of this plugin is exported */
#pragma GCC visibility push(default)
PLUGIN_DEFINE(kernel_lagopus)
{
	private_kernel_lagopus_plugin_t *this;

	INIT(this,
		.public = {
			.plugin = {
				.get_name = _get_name,
				.get_features = _get_features,
				.destroy = _destroy,
			},
		},
	);
	return &this->public.plugin;
}
#pragma GCC visibility pop
