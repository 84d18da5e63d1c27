#include "binding.h"

#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

napi_value throw_error(napi_env env, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	napi_throw_error(env, NULL, text);
	return NULL;
}

bool get_u32(napi_env env, napi_value object, const char *name, uint32_t *result)
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

bool get_port(napi_env env, napi_value object, const char *name, uint16_t *result)
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

bool get_u64(napi_env env, napi_value object, const char *name, uint64_t *result)
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

bool get_address(napi_env env, napi_value object, const char *name, struct address *result)
{
	uint64_t words[2] = { 0 };
	size_t count = 2;
	napi_value value;
	int sign;

	if (napi_get_named_property(env, object, name, &value) != napi_ok ||
	    napi_get_value_bigint_words(env, value, &sign, &count, words) != napi_ok || sign != 0 || count > 2) {
		throw_error(env, "%s: expected a bigint from 0 to 2^128-1", name);
		return false;
	}
	put64(result->bytes, words[1]);
	put64(result->bytes + 8, words[0]);
	return true;
}

bool get_bool(napi_env env, napi_value object, const char *name, bool *result)
{
	napi_value value;

	if (napi_get_named_property(env, object, name, &value) != napi_ok ||
	    napi_get_value_bool(env, value, result) != napi_ok) {
		throw_error(env, "%s: expected a boolean", name);
		return false;
	}
	return true;
}

bool as_array(napi_env env, napi_value value, napi_typedarray_type wanted, void **data, size_t *length)
{
	napi_typedarray_type type;
	bool is_array;

	return napi_is_typedarray(env, value, &is_array) == napi_ok && is_array &&
	       napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) == napi_ok && type == wanted;
}

bool get_bytes(napi_env env, napi_value object, const char *name, uint8_t **data, size_t *length)
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

static void address_of_words(const uint32_t *words, struct address *result)
{
	int i;

	for (i = 0; i < 4; i++) {
		put32(result->bytes + 4 * i, words[i]);
	}
}

bool get_selectors(napi_env env, napi_value object, const char *name, struct selectors *result)
{
	napi_value value;
	size_t length, i;
	uint32_t *words;
	void *data;

	if (napi_get_named_property(env, object, name, &value) != napi_ok ||
	    !as_array(env, value, napi_uint32_array, &data, &length) || length % SELECTOR_WORDS != 0 ||
	    length / SELECTOR_WORDS > SA_MAX_SELECTORS) {
		throw_error(env, "%s: expected a Uint32Array of at most %d selectors", name, SA_MAX_SELECTORS);
		return false;
	}
	words = data;
	result->count = (uint32_t)(length / SELECTOR_WORDS);
	result->items = calloc(result->count ? result->count : 1, sizeof(*result->items));
	if (!result->items) {
		throw_error(env, "out of memory");
		return false;
	}
	for (i = 0; i < result->count; i++, words += SELECTOR_WORDS) {
		if ((words[0] != 4 && words[0] != 6) || words[9] > UINT16_MAX || words[10] > UINT16_MAX ||
		    words[11] > UINT8_MAX) {
			throw_error(env, "%s: family, port or protocol out of range", name);
			return false;
		}
		result->items[i] = (struct selector){
			.is_ipv6 = words[0] == 6,
			.first_port = (uint16_t)words[9],
			.last_port = (uint16_t)words[10],
			.protocol = (uint8_t)words[11],
		};
		address_of_words(words + 1, &result->items[i].first);
		address_of_words(words + 5, &result->items[i].last);
	}
	return true;
}

bool begin_call(napi_env env, napi_callback_info info, size_t wanted, struct call *call)
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

struct sa *sa_argument(const struct call *call)
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

struct policy *policy_argument(const struct call *call)
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

uint64_t *words_argument(const struct call *call, napi_value value, size_t wanted)
{
	size_t length;
	void *data;

	if (!as_array(call->env, value, napi_biguint64_array, &data, &length) || length < wanted) {
		throw_error(call->env, "expected a BigUint64Array of at least %zu elements", wanted);
		return NULL;
	}
	return data;
}

bool bytes_argument(const struct call *call, napi_value value, uint8_t **data, size_t *length)
{
	void *bytes;

	if (!as_array(call->env, value, napi_uint8_array, &bytes, length)) {
		throw_error(call->env, "expected a Uint8Array");
		return false;
	}
	*data = bytes;
	return true;
}

napi_value number(napi_env env, uint32_t value)
{
	napi_value result = NULL;

	napi_create_uint32(env, value, &result);
	return result;
}

napi_value address_value(napi_env env, const struct address *address)
{
	uint64_t words[] = { get64(address->bytes + 8), get64(address->bytes) };
	napi_value result = NULL;

	napi_create_bigint_words(env, 0, 2, words, &result);
	return result;
}
