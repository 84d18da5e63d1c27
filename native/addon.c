/*
 * The engine as a JavaScript class. src/dataplane/native.ts has its types and says what each method
 * does; here every argument is checked, because a wrong number must throw and not corrupt memory.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <node_api.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "bytes.h"
#include "engine.h"

#define MAX_MTU 9216
#define MIN_MTU 576
#define MIN_NONCE 16
#define MAX_NONCE 64
#define READ_SA_WORDS 9
#define READ_POLICY_WORDS 3

struct binding {
	napi_env env;
	struct engine *engine;
	napi_async_context async;
	napi_ref callbacks;
	/* Open from the first call into JavaScript in a slice to the slice's end. */
	napi_handle_scope handles;
	napi_callback_scope scope;
	/* The wrapping object is kept alive while descriptors are open. */
	napi_ref self;
	bool is_collected;
};

static napi_value throw_error(napi_env env, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	napi_throw_error(env, NULL, text);
	return NULL;
}

/* ---- arguments ---- */

static bool get_u32(napi_env env, napi_value object, const char *name, uint32_t *result)
{
	napi_value value;
	double number;

	if (napi_get_named_property(env, object, name, &value) != napi_ok ||
	    napi_get_value_double(env, value, &number) != napi_ok || !(number >= 0 && number <= UINT32_MAX) ||
	    number != (double)(uint32_t)number) {
		throw_error(env, "%s: expected an integer from 0 to 2^32-1", name);
		return false;
	}
	*result = (uint32_t)number;
	return true;
}

static bool get_port(napi_env env, napi_value object, const char *name, uint16_t *result)
{
	uint32_t number;

	if (!get_u32(env, object, name, &number)) {
		return false;
	}
	if (number > UINT16_MAX) {
		throw_error(env, "%s: expected an integer from 0 to 65535", name);
		return false;
	}
	*result = (uint16_t)number;
	return true;
}

static bool get_u64(napi_env env, napi_value object, const char *name, uint64_t *result)
{
	napi_value value;
	bool is_lossless;

	if (napi_get_named_property(env, object, name, &value) != napi_ok ||
	    napi_get_value_bigint_uint64(env, value, result, &is_lossless) != napi_ok || !is_lossless) {
		throw_error(env, "%s: expected a bigint from 0 to 2^64-1", name);
		return false;
	}
	return true;
}

static bool get_bool(napi_env env, napi_value object, const char *name, bool *result)
{
	napi_value value;

	if (napi_get_named_property(env, object, name, &value) != napi_ok ||
	    napi_get_value_bool(env, value, result) != napi_ok) {
		throw_error(env, "%s: expected a boolean", name);
		return false;
	}
	return true;
}

/* A typed array of this element type; `length` in elements. */
static bool as_array(napi_env env, napi_value value, napi_typedarray_type wanted, void **data, size_t *length)
{
	napi_typedarray_type type;
	bool is_array;

	return napi_is_typedarray(env, value, &is_array) == napi_ok && is_array &&
	       napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) == napi_ok && type == wanted;
}

static bool get_bytes(napi_env env, napi_value object, const char *name, uint8_t **data, size_t *length)
{
	napi_value value;
	void *bytes;

	if (napi_get_named_property(env, object, name, &value) != napi_ok ||
	    !as_array(env, value, napi_uint8_array, &bytes, length)) {
		throw_error(env, "%s: expected a Uint8Array", name);
		return false;
	}
	*data = bytes;
	return true;
}

/* Five numbers each: first and last address, first and last port, protocol. */
static bool get_selectors(napi_env env, napi_value object, const char *name, struct selectors *result)
{
	napi_value value;
	size_t length, i;
	uint32_t *words;
	void *data;

	if (napi_get_named_property(env, object, name, &value) != napi_ok ||
	    !as_array(env, value, napi_uint32_array, &data, &length) || length % 5 != 0 ||
	    length / 5 > SA_MAX_SELECTORS) {
		throw_error(env, "%s: expected a Uint32Array of at most %d selectors", name, SA_MAX_SELECTORS);
		return false;
	}
	words = data;
	result->count = (uint32_t)(length / 5);
	result->items = calloc(result->count ? result->count : 1, sizeof(*result->items));
	if (!result->items) {
		throw_error(env, "out of memory");
		return false;
	}
	for (i = 0; i < result->count; i++, words += 5) {
		if (words[2] > UINT16_MAX || words[3] > UINT16_MAX || words[4] > UINT8_MAX) {
			throw_error(env, "%s: port or protocol out of range", name);
			return false;
		}
		result->items[i] = (struct selector){
			.first = words[0],
			.last = words[1],
			.first_port = (uint16_t)words[2],
			.last_port = (uint16_t)words[3],
			.protocol = (uint8_t)words[4],
		};
	}
	return true;
}

#define MAX_ARGUMENTS 4

struct call {
	napi_env env;
	struct binding *binding;
	struct engine *engine;
	napi_value args[MAX_ARGUMENTS];
};

/* False, with an exception pending, if the arguments are too few or the engine must not be touched. */
static bool begin_call(napi_env env, napi_callback_info info, size_t wanted, struct call *call)
{
	size_t count = MAX_ARGUMENTS;
	napi_value self;
	void *data;

	if (napi_get_cb_info(env, info, &count, call->args, &self, NULL) != napi_ok || count < wanted ||
	    napi_unwrap(env, self, &data) != napi_ok) {
		throw_error(env, "expected %zu arguments on an Engine", wanted);
		return false;
	}
	call->env = env;
	call->binding = data;
	call->engine = call->binding->engine;
	if (engine_is_busy(call->engine)) {
		throw_error(env, "the engine was called while it classifies a packet");
		return false;
	}
	return true;
}

static struct sa *sa_argument(const struct call *call)
{
	uint32_t handle = SLOTS_NONE;
	struct sa *sa = NULL;

	if (napi_get_value_uint32(call->env, call->args[0], &handle) == napi_ok) {
		sa = sad_get(engine_sad(call->engine), handle);
	}
	if (!sa) {
		throw_error(call->env, "no SA has the handle %u", handle);
	}
	return sa;
}

static struct policy *policy_argument(const struct call *call)
{
	uint32_t handle = SLOTS_NONE;
	struct policy *policy = NULL;

	if (napi_get_value_uint32(call->env, call->args[0], &handle) == napi_ok) {
		policy = engine_policy(call->engine, handle);
	}
	if (!policy) {
		throw_error(call->env, "no policy has the handle %u", handle);
	}
	return policy;
}

static uint64_t *words_argument(const struct call *call, napi_value value, size_t wanted)
{
	size_t length;
	void *data;

	if (!as_array(call->env, value, napi_biguint64_array, &data, &length) || length < wanted) {
		throw_error(call->env, "expected a BigUint64Array of at least %zu elements", wanted);
		return NULL;
	}
	return data;
}

static bool bytes_argument(const struct call *call, napi_value value, uint8_t **data, size_t *length)
{
	void *bytes;

	if (!as_array(call->env, value, napi_uint8_array, &bytes, length)) {
		throw_error(call->env, "expected a Uint8Array");
		return false;
	}
	*data = bytes;
	return true;
}

static napi_value number(napi_env env, uint32_t value)
{
	napi_value result = NULL;

	napi_create_uint32(env, value, &result);
	return result;
}

/* ---- calls into JavaScript ---- */

static void open_scope(struct binding *binding)
{
	napi_value resource;

	if (!binding->scope) {
		napi_open_handle_scope(binding->env, &binding->handles);
		napi_create_object(binding->env, &resource);
		napi_open_callback_scope(binding->env, resource, binding->async, &binding->scope);
	}
}

/* Closing the scope runs what JavaScript queued meanwhile, which may call the engine again. */
static void on_slice_end(void *context)
{
	struct binding *binding = context;
	napi_callback_scope scope = binding->scope;
	napi_handle_scope handles = binding->handles;

	if (scope) {
		binding->scope = NULL;
		napi_close_callback_scope(binding->env, scope);
		napi_close_handle_scope(binding->env, handles);
	}
}

static napi_value call_back(struct binding *binding, const char *name, const napi_value *args, size_t count)
{
	napi_env env = binding->env;
	napi_value callbacks, function, result = NULL, error;
	bool is_pending = false;

	if (napi_get_reference_value(env, binding->callbacks, &callbacks) == napi_ok &&
	    napi_get_named_property(env, callbacks, name, &function) == napi_ok) {
		napi_call_function(env, callbacks, function, count, args, &result);
	}
	napi_is_exception_pending(env, &is_pending);
	if (is_pending) {
		napi_get_and_clear_last_exception(env, &error);
		napi_fatal_exception(env, error);
		return NULL;
	}
	return result;
}

static void key_arguments(napi_env env, const struct flow_key *key, napi_value *args)
{
	args[0] = number(env, key->source);
	args[1] = number(env, key->destination);
	args[2] = number(env, key->protocol);
	napi_create_int32(env, key->has_ports ? key->source_port : -1, &args[3]);
	napi_create_int32(env, key->has_ports ? key->destination_port : -1, &args[4]);
}

static struct verdict on_classify(void *context, const struct flow_key *key)
{
	struct verdict verdict = { .action = FLOW_DROP };
	struct binding *binding = context;
	napi_value args[6], result;
	napi_handle_scope handles;
	uint32_t *words;
	size_t length;
	void *data;

	open_scope(binding);
	napi_open_handle_scope(binding->env, &handles);
	napi_get_boolean(binding->env, key->inbound, &args[0]);
	key_arguments(binding->env, key, args + 1);
	result = call_back(binding, "classify", args, 6);
	if (result && as_array(binding->env, result, napi_uint32_array, &data, &length) && length >= 3) {
		words = data;
		if (words[0] <= FLOW_PASS) {
			verdict = (struct verdict){ words[0], words[1], words[2] };
		}
	}
	napi_close_handle_scope(binding->env, handles);
	return verdict;
}

static void on_sa_event(void *context, struct sa *sa, uint32_t event)
{
	struct binding *binding = context;
	napi_value args[4];

	open_scope(binding);
	args[0] = number(binding->env, sa->handle);
	args[1] = number(binding->env, event);
	args[2] = number(binding->env, sa->peer_address);
	args[3] = number(binding->env, sa->peer_port);
	call_back(binding, "saEvent", args, 4);
}

static void on_acquire(void *context, uint32_t policy, const struct flow_key *key)
{
	struct binding *binding = context;
	napi_value args[6];

	open_scope(binding);
	args[0] = number(binding->env, policy);
	key_arguments(binding->env, key, args + 1);
	call_back(binding, "acquire", args, 6);
}

static void on_fault(void *context, const char *what, int error)
{
	struct binding *binding = context;
	napi_value args[2];

	open_scope(binding);
	napi_create_string_utf8(binding->env, what, NAPI_AUTO_LENGTH, &args[0]);
	napi_create_string_utf8(binding->env, strerror(error), NAPI_AUTO_LENGTH, &args[1]);
	call_back(binding, "fault", args, 2);
}

static void on_closed(void *context)
{
	struct binding *binding = context;

	if (binding->is_collected) {
		engine_destroy(binding->engine);
		free(binding);
		return;
	}
	open_scope(binding);
	call_back(binding, "closed", NULL, 0);
	on_slice_end(binding);
	/* The object may be collected now. */
	napi_delete_reference(binding->env, binding->self);
	binding->self = NULL;
}

/* ---- methods ---- */

static napi_value method_open(napi_env env, napi_callback_info info)
{
	struct engine_config config = { 0 };
	struct net_error error;
	napi_value self, name;
	char tun_name[IFNAMSIZ + 1];
	struct call call;
	size_t length;
	uv_loop_t *loop;

	if (!begin_call(env, info, 1, &call) || !get_u32(env, call.args[0], "mtu", &config.mtu) ||
	    !get_u32(env, call.args[0], "fwmark", &config.fwmark) ||
	    !get_port(env, call.args[0], "udpPort", &config.udp_port) ||
	    !get_bool(env, call.args[0], "isPersistent", &config.is_persistent)) {
		return NULL;
	}
	if (napi_get_named_property(env, call.args[0], "tunName", &name) != napi_ok ||
	    napi_get_value_string_utf8(env, name, tun_name, sizeof(tun_name), &length) != napi_ok || length == 0 ||
	    length >= IFNAMSIZ) {
		return throw_error(env, "tunName: expected a name of 1 to %d bytes", IFNAMSIZ - 1);
	}
	if (config.mtu < MIN_MTU || config.mtu > MAX_MTU) {
		return throw_error(env, "mtu: expected %d to %d", MIN_MTU, MAX_MTU);
	}
	if (call.binding->self) {
		return throw_error(env, "the engine is open already");
	}
	config.tun_name = tun_name;
	if (napi_get_uv_event_loop(env, &loop) != napi_ok || !engine_open(call.engine, loop, &config, &error)) {
		return throw_error(env, "cannot %s %s: %s", error.what, tun_name, strerror(error.number));
	}
	napi_get_cb_info(env, info, NULL, NULL, &self, NULL);
	napi_create_reference(env, self, 1, &call.binding->self);
	return NULL;
}

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

static bool get_sa(napi_env env, napi_value spec, struct sa *sa)
{
	uint32_t window, highest;
	uint8_t *bitmap;
	size_t length;

	return get_bool(env, spec, "isInbound", &sa->inbound) && get_u32(env, spec, "spi", &sa->spi) &&
	       get_u32(env, spec, "source", &sa->source) && get_u32(env, spec, "destination", &sa->destination) &&
	       get_bool(env, spec, "isUdp", &sa->udp) && get_port(env, spec, "sourcePort", &sa->source_port) &&
	       get_port(env, spec, "destinationPort", &sa->destination_port) &&
	       get_bool(env, spec, "copyDf", &sa->copy_df) && get_bool(env, spec, "copyEcn", &sa->copy_ecn) &&
	       get_bool(env, spec, "copyDscpOut", &sa->copy_dscp_out) &&
	       get_bool(env, spec, "copyDscpIn", &sa->copy_dscp_in) &&
	       get_u64(env, spec, "softBytes", &sa->soft.bytes) && get_u64(env, spec, "softPackets", &sa->soft.packets) &&
	       get_u64(env, spec, "hardBytes", &sa->hard.bytes) && get_u64(env, spec, "hardPackets", &sa->hard.packets) &&
	       get_u64(env, spec, "nextSequence", &sa->next_sequence) &&
	       get_selectors(env, spec, "sourceSelectors", &sa->source_selectors) &&
	       get_selectors(env, spec, "destinationSelectors", &sa->destination_selectors) &&
	       get_u32(env, spec, "replayWindow", &window) && get_u32(env, spec, "replayHighest", &highest) &&
	       get_bytes(env, spec, "replayBitmap", &bitmap, &length) &&
	       (replay_init(&sa->replay, window) || (throw_error(env, "replayWindow: too large"), false)) &&
	       (replay_import(&sa->replay, highest, bitmap, length), true);
}

static napi_value method_add_sa(napi_env env, napi_callback_info info)
{
	uint32_t encryption, integrity;
	uint8_t *encryption_key, *integrity_key;
	size_t encryption_key_length, integrity_key_length;
	struct call call;
	struct sa *sa;

	if (!begin_call(env, info, 1, &call) || !get_u32(env, call.args[0], "encryption", &encryption) ||
	    !get_u32(env, call.args[0], "integrity", &integrity) ||
	    !get_bytes(env, call.args[0], "encryptionKey", &encryption_key, &encryption_key_length) ||
	    !get_bytes(env, call.args[0], "integrityKey", &integrity_key, &integrity_key_length)) {
		return NULL;
	}
	sa = calloc(1, sizeof(*sa));
	if (!sa) {
		return throw_error(env, "out of memory");
	}
	if (!get_sa(env, call.args[0], sa)) {
		/* Its exception is pending. */
	} else if (!esp_init(sa, encryption, encryption_key, encryption_key_length, integrity, integrity_key,
			   integrity_key_length)) {
		throw_error(env, "unknown algorithms or key lengths");
	} else if (!sad_add(engine_sad(call.engine), sa)) {
		throw_error(env, "out of memory");
	} else {
		engine_clear_flows(call.engine);
		return number(env, sa->handle);
	}
	esp_free(sa);
	free(sa);
	return NULL;
}

static napi_value method_move_sa(napi_env env, napi_callback_info info)
{
	uint32_t source, destination;
	uint16_t source_port, destination_port;
	struct call call;
	struct sa *sa;
	bool is_udp;

	if (!begin_call(env, info, 2, &call) || !(sa = sa_argument(&call)) ||
	    !get_u32(env, call.args[1], "source", &source) ||
	    !get_u32(env, call.args[1], "destination", &destination) ||
	    !get_bool(env, call.args[1], "isUdp", &is_udp) ||
	    !get_port(env, call.args[1], "sourcePort", &source_port) ||
	    !get_port(env, call.args[1], "destinationPort", &destination_port)) {
		return NULL;
	}
	sa->source = source;
	sa->destination = destination;
	sa->udp = is_udp;
	sa->source_port = source_port;
	sa->destination_port = destination_port;
	sa->peer_reported_ms = 0;
	return NULL;
}

static void read_sa(const struct sa *sa, uint64_t *words)
{
	const struct sa_counters *c = &sa->counters;

	words[0] = c->bytes;
	words[1] = c->packets;
	words[2] = c->last_use_ms == 0 ? UINT64_MAX : engine_now_ms() - c->last_use_ms;
	words[3] = c->replay_drops;
	words[4] = c->integrity_failures;
	words[5] = c->selector_drops;
	words[6] = c->malformed_drops;
	words[7] = sa->next_sequence;
	words[8] = sa->replay.highest;
}

static napi_value method_read_sa(napi_env env, napi_callback_info info)
{
	struct call call;
	struct sa *sa;
	uint64_t *words;

	if (begin_call(env, info, 2, &call) && (sa = sa_argument(&call)) &&
	    (words = words_argument(&call, call.args[1], READ_SA_WORDS))) {
		read_sa(sa, words);
	}
	return NULL;
}

static napi_value method_remove_sa(napi_env env, napi_callback_info info)
{
	struct call call;
	struct sa *sa;
	uint64_t *words;

	if (begin_call(env, info, 2, &call) && (sa = sa_argument(&call)) &&
	    (words = words_argument(&call, call.args[1], READ_SA_WORDS))) {
		read_sa(sa, words);
		engine_remove_sa(call.engine, sa);
	}
	return NULL;
}

static napi_value method_read_replay(napi_env env, napi_callback_info info)
{
	napi_value result = NULL;
	struct call call;
	struct sa *sa;
	void *bitmap;

	if (begin_call(env, info, 1, &call) && (sa = sa_argument(&call)) &&
	    napi_create_buffer(env, replay_bitmap_bytes(&sa->replay), &bitmap, &result) == napi_ok) {
		replay_export(&sa->replay, bitmap);
	}
	return result;
}

static napi_value method_has_keys(napi_env env, napi_callback_info info)
{
	size_t encryption_length, integrity_length;
	uint8_t *encryption, *integrity;
	napi_value result = NULL;
	struct call call;
	struct sa *sa;

	if (begin_call(env, info, 3, &call) && (sa = sa_argument(&call)) &&
	    bytes_argument(&call, call.args[1], &encryption, &encryption_length) &&
	    bytes_argument(&call, call.args[2], &integrity, &integrity_length)) {
		napi_get_boolean(env,
			encryption_length == sa->encryption_key_length &&
				integrity_length == sa->integrity_key_length &&
				CRYPTO_memcmp(encryption, sa->encryption_key, encryption_length) == 0 &&
				CRYPTO_memcmp(integrity, sa->integrity_key, integrity_length) == 0,
			&result);
	}
	return result;
}

static napi_value method_fingerprint(napi_env env, napi_callback_info info)
{
	uint8_t data[2 + sizeof(((struct sa *)0)->encryption_key) + 2 + sizeof(((struct sa *)0)->integrity_key)];
	uint8_t digest[EVP_MAX_MD_SIZE], *nonce, *end = data;
	unsigned int digest_length;
	napi_value result = NULL;
	struct call call;
	struct sa *sa;
	size_t length;

	if (!begin_call(env, info, 2, &call) || !(sa = sa_argument(&call)) ||
	    !bytes_argument(&call, call.args[1], &nonce, &length)) {
		return NULL;
	}
	if (length < MIN_NONCE || length > MAX_NONCE) {
		return throw_error(env, "expected a nonce of %d to %d bytes", MIN_NONCE, MAX_NONCE);
	}
	put16(end, sa->encryption_key_length);
	memcpy(end + 2, sa->encryption_key, sa->encryption_key_length);
	end += 2 + sa->encryption_key_length;
	put16(end, sa->integrity_key_length);
	memcpy(end + 2, sa->integrity_key, sa->integrity_key_length);
	end += 2 + sa->integrity_key_length;
	if (!HMAC(EVP_sha256(), nonce, (int)length, data, (size_t)(end - data), digest, &digest_length)) {
		throw_error(env, "HMAC failed");
	} else {
		napi_create_buffer_copy(env, digest_length, digest, NULL, &result);
	}
	OPENSSL_cleanse(data, sizeof(data));
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

static napi_value method_statistics(napi_env env, napi_callback_info info)
{
	const struct engine_statistics *statistics;
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
	return result;
}

static napi_value method_encapsulate(napi_env env, napi_callback_info info)
{
	enum esp_result status = ESP_MALFORMED;
	struct esp_packet outer = { 0 };
	napi_value result = NULL;
	uint8_t *inner, *buffer;
	struct call call;
	struct sa *sa;
	size_t length;

	if (!begin_call(env, info, 2, &call) || !(sa = sa_argument(&call)) ||
	    !bytes_argument(&call, call.args[1], &inner, &length)) {
		return NULL;
	}
	if (sa->inbound) {
		return throw_error(env, "an inbound SA does not encapsulate");
	}
	buffer = malloc(ESP_HEADROOM + length + ESP_TAILROOM);
	if (!buffer) {
		return throw_error(env, "out of memory");
	}
	if (ipv4_length(inner, length) == length && length != 0) {
		memcpy(buffer + ESP_HEADROOM, inner, length);
		status = engine_encapsulate(call.engine, sa, buffer + ESP_HEADROOM, length, &outer);
	}
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
	memcpy(buffer, outer, length);
	status = engine_decapsulate(call.engine, buffer, length, &inner);
	if (status == ESP_OK) {
		napi_create_buffer_copy(env, inner.length, inner.bytes, NULL, &result);
	} else {
		napi_create_int32(env, (int32_t)status, &result);
	}
	free(buffer);
	return result;
}

/* ---- class ---- */

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
	struct engine_callbacks callbacks = {
		.classify = on_classify,
		.sa_event = on_sa_event,
		.acquire = on_acquire,
		.fault = on_fault,
		.slice_end = on_slice_end,
		.closed = on_closed,
		.context = binding,
	};
	napi_value self, args[1], name;
	napi_valuetype type = napi_undefined;
	size_t count = 1;

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
		METHOD("addSa", method_add_sa),
		METHOD("moveSa", method_move_sa),
		METHOD("readSa", method_read_sa),
		METHOD("removeSa", method_remove_sa),
		METHOD("readReplay", method_read_replay),
		METHOD("hasKeys", method_has_keys),
		METHOD("fingerprint", method_fingerprint),
		METHOD("addPolicy", method_add_policy),
		METHOD("readPolicy", method_read_policy),
		METHOD("removePolicy", method_remove_policy),
		METHOD("clearFlows", method_clear_flows),
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
	return exports;
}
