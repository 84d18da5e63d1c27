#include "binding.h"

#include <string.h>

#define MAX_MTU 9216
#define MIN_MTU 576

static bool get_name(napi_env env, napi_value spec, const char *key, char *name)
{
	char text[IFNAMSIZ + 1];
	napi_value value;
	size_t length;

	if (napi_get_named_property(env, spec, key, &value) != napi_ok ||
	    napi_get_value_string_utf8(env, value, text, sizeof(text), &length) != napi_ok || length == 0 ||
	    length >= IFNAMSIZ) {
		throw_error(env, "%s: expected 1 to %d bytes", key, IFNAMSIZ - 1);
		return false;
	}
	memcpy(name, text, length + 1);
	return true;
}

/* Leaves the tap off where it is undefined. */
static bool get_tap(napi_env env, napi_value spec, char *name, const char **tap)
{
	napi_valuetype type;
	napi_value value;

	if (napi_get_named_property(env, spec, "tap", &value) == napi_ok && napi_typeof(env, value, &type) == napi_ok &&
	    type == napi_undefined) {
		return true;
	}
	*tap = name;
	return get_name(env, spec, "tap", name);
}

static bool get_device(napi_env env, napi_value spec, struct engine_device *device)
{
	if (!get_name(env, spec, "name", device->name) || !get_u32(env, spec, "mtu", &device->mtu)) {
		return false;
	}
	if (device->mtu < MIN_MTU || device->mtu > MAX_MTU) {
		throw_error(env, "mtu: expected %d to %d", MIN_MTU, MAX_MTU);
		return false;
	}
	return true;
}

static bool get_devices(napi_env env, napi_value spec, struct engine_device *devices, uint32_t *count)
{
	napi_value list, item;
	uint32_t i;

	if (napi_get_named_property(env, spec, "devices", &list) != napi_ok ||
	    napi_get_array_length(env, list, count) != napi_ok || *count == 0 || *count > ENGINE_MAX_DEVICES) {
		throw_error(env, "devices: expected 1 to %d", ENGINE_MAX_DEVICES);
		return false;
	}
	for (i = 0; i < *count; i++) {
		if (napi_get_element(env, list, i, &item) != napi_ok || !get_device(env, item, &devices[i])) {
			return false;
		}
	}
	return true;
}

napi_value method_open(napi_env env, napi_callback_info info)
{
	struct engine_device devices[ENGINE_MAX_DEVICES];
	struct engine_config config = { .devices = devices };
	char tap[IFNAMSIZ];
	struct net_error error;
	uint32_t fragment;
	napi_value self;
	struct call call;
	uv_loop_t *loop;

	if (!begin_call(env, info, 1, &call) || !get_devices(env, call.args[0], devices, &config.device_count) ||
	    !get_u32(env, call.args[0], "fwmark", &config.fwmark) ||
	    !get_port(env, call.args[0], "udpPort", &config.udp_port) ||
	    !get_u32(env, call.args[0], "fragment", &fragment) ||
	    !get_bool(env, call.args[0], "clampMss", &config.clamp_mss) ||
	    !get_bool(env, call.args[0], "isPersistent", &config.is_persistent) ||
	    !get_tap(env, call.args[0], tap, &config.tap)) {
		return NULL;
	}
	if (fragment > FRAGMENT_NEVER) {
		return throw_error(env, "fragment: there is no policy %u", fragment);
	}
	config.fragment = (enum fragment_policy)fragment;
	if (call.binding->self) {
		return throw_error(env, "the engine is open already");
	}
	if (napi_get_uv_event_loop(env, &loop) != napi_ok) {
		return throw_error(env, "there is no event loop");
	}
	if (!engine_open(call.engine, loop, &config, &error)) {
		return throw_error(env, "cannot %s%s%s%s: %s", error.what, error.device ? " (" : "",
			error.device ? error.device : "", error.device ? ")" : "", strerror(error.number));
	}
	napi_get_cb_info(env, info, NULL, NULL, &self, NULL);
	napi_create_reference(env, self, 1, &call.binding->self);
	return NULL;
}
