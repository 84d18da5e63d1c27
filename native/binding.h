/*
 * Between JavaScript and the engine: what the addon's files share.
 *
 *     addon.c       the class, and its other methods     open-method.c  open()
 *     arguments.c   from JavaScript                      sa-methods.c   the methods of SAs
 *     callbacks.c   into JavaScript
 */
#ifndef LAGOPUS_BINDING_H_
#define LAGOPUS_BINDING_H_

#include <node_api.h>

#include "engine.h"

#define MAX_ARGUMENTS 4
#define SELECTOR_WORDS 12

/* Of a slice, from its first call into JavaScript to its end; NULL before. */
struct scopes {
	napi_handle_scope handles;
	napi_callback_scope callback;
};

struct binding {
	napi_env env;
	struct engine *engine;
	napi_async_context async;
	napi_ref callbacks;
	struct scopes scopes;
	/* The wrapping object is kept alive while descriptors are open. */
	napi_ref self;
	bool is_collected;
};

struct call {
	napi_env env;
	struct binding *binding;
	struct engine *engine;
	napi_value args[MAX_ARGUMENTS];
};

/* arguments.c. The get_ functions read a property; false, and as_array() apart with an exception pending, if it is wrong. */
napi_value throw_error(napi_env env, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool get_u32(napi_env env, napi_value object, const char *name, uint32_t *result);
bool get_port(napi_env env, napi_value object, const char *name, uint16_t *result);
bool get_u64(napi_env env, napi_value object, const char *name, uint64_t *result);
bool get_bool(napi_env env, napi_value object, const char *name, bool *result);
bool get_bytes(napi_env env, napi_value object, const char *name, uint8_t **data, size_t *length);
/* A bigint: the value of the 16 bytes. */
bool get_address(napi_env env, napi_value object, const char *name, struct address *result);
/* SELECTOR_WORDS each: family (4 or 6), first and last address in 4 words each, first and last port, protocol. */
bool get_selectors(napi_env env, napi_value object, const char *name, struct selectors *result);
/* A typed array of this element type; `length` in elements. */
bool as_array(napi_env env, napi_value value, napi_typedarray_type wanted, void **data, size_t *length);

/* False, with an exception pending, if the arguments are too few or the engine must not be touched. */
bool begin_call(napi_env env, napi_callback_info info, size_t wanted, struct call *call);
/* The first argument; NULL, with an exception pending, if it is no handle in use. */
struct sa *sa_argument(const struct call *call);
struct policy *policy_argument(const struct call *call);
uint64_t *words_argument(const struct call *call, napi_value value, size_t wanted);
bool bytes_argument(const struct call *call, napi_value value, uint8_t **data, size_t *length);
napi_value number(napi_env env, uint32_t value);
napi_value address_value(napi_env env, const struct address *address);

/* open-method.c */
napi_value method_open(napi_env env, napi_callback_info info);

/* sa-methods.c */
napi_value method_supports(napi_env env, napi_callback_info info);
napi_value method_add_sa(napi_env env, napi_callback_info info);
napi_value method_move_sa(napi_env env, napi_callback_info info);
napi_value method_read_sa(napi_env env, napi_callback_info info);
napi_value method_remove_sa(napi_env env, napi_callback_info info);
napi_value method_largest_inner(napi_env env, napi_callback_info info);
napi_value method_read_replay(napi_env env, napi_callback_info info);
napi_value method_has_keys(napi_env env, napi_callback_info info);
napi_value method_fingerprint(napi_env env, napi_callback_info info);

/* callbacks.c: for an engine whose context is a struct binding. */
extern const struct engine_callbacks binding_callbacks;
/* Around slices that JavaScript asks for, maybe in a callback of another slice, whose scopes stay open. */
struct scopes scopes_leave(struct binding *binding);
void scopes_return(struct binding *binding, struct scopes outer);

#endif
