#include "binding.h"

#include <stdlib.h>
#include <string.h>

static void open_scope(struct binding *binding)
{
	napi_value resource;

	if (!binding->scopes.callback) {
		napi_open_handle_scope(binding->env, &binding->scopes.handles);
		napi_create_object(binding->env, &resource);
		napi_open_callback_scope(binding->env, resource, binding->async, &binding->scopes.callback);
	}
}

struct scopes scopes_leave(struct binding *binding)
{
	struct scopes outer = binding->scopes;

	binding->scopes = (struct scopes){ 0 };
	return outer;
}

void scopes_return(struct binding *binding, struct scopes outer)
{
	binding->scopes = outer;
}

/* Closing the scope runs what JavaScript queued meanwhile, which may call the engine again. */
static void on_slice_end(void *context)
{
	struct binding *binding = context;
	struct scopes scopes = scopes_leave(binding);

	if (scopes.callback) {
		napi_close_callback_scope(binding->env, scopes.callback);
		napi_close_handle_scope(binding->env, scopes.handles);
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
	args[0] = address_value(env, &key->source);
	args[1] = address_value(env, &key->destination);
	args[2] = number(env, key->protocol);
	napi_create_int32(env, key->has_ports ? key->source_port : -1, &args[3]);
	napi_create_int32(env, key->has_ports ? key->destination_port : -1, &args[4]);
}

static struct verdict on_classify(void *context, const struct flow_key *key)
{
	struct verdict verdict = { .action = FLOW_DROP };
	struct binding *binding = context;
	napi_value args[9], result;
	napi_handle_scope handles;
	uint32_t *words;
	size_t length;
	void *data;

	open_scope(binding);
	napi_open_handle_scope(binding->env, &handles);
	napi_get_boolean(binding->env, key->inbound, &args[0]);
	args[1] = number(binding->env, key->device);
	args[2] = number(binding->env, key->is_ipv6 ? 6 : 4);
	key_arguments(binding->env, key, args + 3);
	args[8] = number(binding->env, key->group);
	result = call_back(binding, "classify", args, 9);
	if (result && as_array(binding->env, result, napi_uint32_array, &data, &length) && length >= 3) {
		words = data;
		if (words[0] <= FLOW_MISMATCH) {
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
	args[2] = address_value(binding->env, &sa->peer_address);
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

static void on_dropped(void *context, enum drop_reason reason, const struct drop_packet *packet, uint64_t left_out)
{
	struct binding *binding = context;
	napi_value args[6];

	open_scope(binding);
	napi_create_string_utf8(binding->env, drop_names[reason], NAPI_AUTO_LENGTH, &args[0]);
	napi_create_bigint_uint64(binding->env, left_out, &args[1]);
	args[2] = number(binding->env, packet->spi);
	args[3] = number(binding->env, packet->sequence);
	args[4] = address_value(binding->env, &packet->source);
	args[5] = address_value(binding->env, &packet->destination);
	call_back(binding, "dropped", args, 6);
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

const struct engine_callbacks binding_callbacks = {
	.classify = on_classify,
	.sa_event = on_sa_event,
	.acquire = on_acquire,
	.dropped = on_dropped,
	.fault = on_fault,
	.slice_end = on_slice_end,
	.closed = on_closed,
};
