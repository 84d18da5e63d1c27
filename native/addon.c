/*
 * The engine as a JavaScript class. src/dataplane/native.ts has its types and says what each method
 * does; here every argument is checked, because a wrong number must throw and not corrupt memory.
 */
#include "binding.h"
#include "seqpacket.h"

#include <stdlib.h>
#include <string.h>

#define READ_POLICY_WORDS 3
/* As if there were a TUN device. */
#define ENCAPSULATE_MTU 1400

static napi_value method_close(napi_env env, napi_callback_info info)
{
	struct call call;
	napi_value result;

	if (!begin_call(env, info, 0, &call)) {
		return NULL;
	}
	napi_get_boolean(env, engine_close(call.engine), &result);
	return result;
}

static napi_value method_add_policy(napi_env env, napi_callback_info info)
{
	struct policy *policy;
	struct call call;

	if (!begin_call(env, info, 0, &call)) {
		return NULL;
	}
	policy = engine_add_policy(call.engine);
	if (!policy) {
		return throw_error(env, "out of memory");
	}
	return number(env, policy->handle);
}

static napi_value method_read_policy(napi_env env, napi_callback_info info)
{
	struct policy *policy;
	struct call call;
	uint64_t *words;

	if (begin_call(env, info, 2, &call) && (policy = policy_argument(&call)) &&
	    (words = words_argument(&call, call.args[1], READ_POLICY_WORDS))) {
		words[0] = policy->packets;
		words[1] = policy->bytes;
		words[2] = policy->last_use_ms == 0 ? UINT64_MAX : engine_now_ms() - policy->last_use_ms;
	}
	return NULL;
}

static napi_value method_remove_policy(napi_env env, napi_callback_info info)
{
	struct policy *policy;
	struct call call;

	if (begin_call(env, info, 1, &call) && (policy = policy_argument(&call))) {
		engine_remove_policy(call.engine, policy);
	}
	return NULL;
}

static napi_value method_clear_flows(napi_env env, napi_callback_info info)
{
	struct call call;

	if (begin_call(env, info, 0, &call)) {
		engine_clear_flows(call.engine);
	}
	return NULL;
}

static napi_value method_receive(napi_env env, napi_callback_info info)
{
	struct call call;

	struct scopes outer;

	if (begin_call(env, info, 0, &call)) {
		outer = scopes_leave(call.binding);
		engine_receive(call.engine);
		scopes_return(call.binding, outer);
	}
	return NULL;
}

static napi_value method_set_mtu(napi_env env, napi_callback_info info)
{
	uint32_t device, mtu;
	struct call call;

	if (!begin_call(env, info, 2, &call)) {
		return NULL;
	}
	if (napi_get_value_uint32(env, call.args[0], &device) != napi_ok ||
	    napi_get_value_uint32(env, call.args[1], &mtu) != napi_ok) {
		return throw_error(env, "expected a device and an MTU");
	}
	return engine_set_mtu(call.engine, device, mtu) ? NULL : throw_error(env, "set the MTU: %s", strerror(errno));
}

static napi_value method_statistics(napi_env env, napi_callback_info info)
{
	const struct engine_statistics *statistics;
	int reason;
	napi_value result = NULL, value;
	struct call call;

	if (!begin_call(env, info, 0, &call)) {
		return NULL;
	}
	statistics = engine_statistics(call.engine);
	napi_create_object(env, &result);
#define SET(name)                                                       \
	napi_create_bigint_uint64(env, statistics->name, &value);       \
	napi_set_named_property(env, result, #name, value);
	ENGINE_STATISTICS(SET)
#undef SET
	for (reason = 0; reason < DROP_COUNT; reason++) {
		napi_create_bigint_uint64(env, engine_drop_counts(call.engine)[reason], &value);
		napi_set_named_property(env, result, drop_names[reason], value);
	}
	return result;
}

static napi_value method_encapsulate(napi_env env, napi_callback_info info)
{
	enum esp_result status = ESP_MALFORMED;
	struct esp_packet outer = { 0 };
	napi_value result = NULL;
	uint8_t *inner, *buffer;
	struct scopes scopes;
	struct call call;
	struct sa *sa;
	size_t length, largest = ENCAPSULATE_MTU;

	if (!begin_call(env, info, 2, &call) || !(sa = sa_argument(&call)) ||
	    !bytes_argument(&call, call.args[1], &inner, &length)) {
		return NULL;
	}
	if (sa->inbound) {
		return throw_error(env, "an inbound SA does not encapsulate");
	}
	buffer = malloc(SA_HEADROOM + (length > largest ? length : largest) + SA_TAILROOM);
	if (!buffer) {
		return throw_error(env, "out of memory");
	}
	memcpy(buffer + SA_HEADROOM, inner, length);
	scopes = scopes_leave(call.binding);
	status = engine_encapsulate(call.engine, sa, buffer + SA_HEADROOM, length, largest, &outer);
	scopes_return(call.binding, scopes);
	if (status == ESP_OK) {
		napi_create_buffer_copy(env, outer.length, outer.bytes, NULL, &result);
	} else {
		napi_create_int32(env, (int32_t)status, &result);
	}
	free(buffer);
	return result;
}

static napi_value method_decapsulate(napi_env env, napi_callback_info info)
{
	struct esp_packet inner = { 0 };
	uint8_t *outer, *buffer;
	enum esp_result status;
	napi_value result = NULL;
	struct scopes scopes;
	struct call call;
	size_t length;

	if (!begin_call(env, info, 1, &call) || !bytes_argument(&call, call.args[0], &outer, &length)) {
		return NULL;
	}
	/* A copy of exactly this size, so that memory checkers see every read beyond it. */
	buffer = malloc(length ? length : 1);
	if (!buffer) {
		return throw_error(env, "out of memory");
	}
	if (length > 0) {
		memcpy(buffer, outer, length);
	}
	scopes = scopes_leave(call.binding);
	status = engine_decapsulate(call.engine, buffer, length, &inner);
	scopes_return(call.binding, scopes);
	if (status == ESP_OK) {
		napi_create_buffer_copy(env, inner.length, inner.bytes, NULL, &result);
	} else {
		napi_create_int32(env, (int32_t)status, &result);
	}
	free(buffer);
	return result;
}

static void finalize(napi_env env, void *data, void *hint)
{
	struct binding *binding = data;

	(void)hint;
	binding->is_collected = true;
	napi_async_destroy(env, binding->async);
	napi_delete_reference(env, binding->callbacks);
	if (!engine_close(binding->engine)) {
		engine_destroy(binding->engine);
		free(binding);
	}
}

static napi_value construct(napi_env env, napi_callback_info info)
{
	struct binding *binding = calloc(1, sizeof(*binding));
	struct engine_callbacks callbacks = binding_callbacks;
	napi_value self, args[1], name;
	napi_valuetype type = napi_undefined;
	size_t count = 1;

	callbacks.context = binding;
	if (!binding || !(binding->engine = engine_create(&callbacks))) {
		free(binding);
		return throw_error(env, "out of memory");
	}
	binding->env = env;
	napi_get_cb_info(env, info, &count, args, &self, NULL);
	napi_typeof(env, args[0], &type);
	napi_create_string_utf8(env, "lagopus:engine", NAPI_AUTO_LENGTH, &name);
	if (type != napi_object || napi_create_reference(env, args[0], 1, &binding->callbacks) != napi_ok ||
	    napi_async_init(env, NULL, name, &binding->async) != napi_ok ||
	    napi_wrap(env, self, binding, finalize, NULL, NULL) != napi_ok) {
		engine_destroy(binding->engine);
		free(binding);
		return throw_error(env, "expected an object of callbacks");
	}
	return self;
}

NAPI_MODULE_INIT()
{
#define METHOD(name, function) { name, NULL, function, NULL, NULL, NULL, napi_default, NULL }
	const napi_property_descriptor methods[] = {
		METHOD("open", method_open),
		METHOD("close", method_close),
		METHOD("supports", method_supports),
		METHOD("addSa", method_add_sa),
		METHOD("moveSa", method_move_sa),
		METHOD("readSa", method_read_sa),
		METHOD("removeSa", method_remove_sa),
		METHOD("largestInner", method_largest_inner),
		METHOD("readReplay", method_read_replay),
		METHOD("hasKeys", method_has_keys),
		METHOD("fingerprint", method_fingerprint),
		METHOD("addPolicy", method_add_policy),
		METHOD("readPolicy", method_read_policy),
		METHOD("removePolicy", method_remove_policy),
		METHOD("clearFlows", method_clear_flows),
		METHOD("receive", method_receive),
		METHOD("setMtu", method_set_mtu),
		METHOD("statistics", method_statistics),
		METHOD("encapsulate", method_encapsulate),
		METHOD("decapsulate", method_decapsulate),
	};
#undef METHOD
	napi_value constructor;

	if (napi_define_class(env, "Engine", NAPI_AUTO_LENGTH, construct, NULL, sizeof(methods) / sizeof(methods[0]),
		    methods, &constructor) == napi_ok) {
		napi_set_named_property(env, exports, "Engine", constructor);
	}
	define_seqpacket(env, exports);
	return exports;
}
