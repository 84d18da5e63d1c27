/* struct mmsghdr */
#define _GNU_SOURCE

#include "engine-internal.h"

#include <errno.h>
#include <stdlib.h>

bool engine_is_busy(const struct engine *engine)
{
	return engine->is_busy;
}

const struct engine_statistics *engine_statistics(const struct engine *engine)
{
	return &engine->statistics;
}

const uint64_t *engine_drop_counts(const struct engine *engine)
{
	return engine->drops.counts;
}

struct sad *engine_sad(struct engine *engine)
{
	return &engine->sad;
}

bool engine_set_mtu(struct engine *engine, uint32_t device, uint32_t mtu)
{
	errno = EINVAL;
	return engine->is_open && device < engine->tun_count && mtu <= engine->tuns[device].mtu &&
	       net_set_mtu(engine->tuns[device].fd, mtu);
}

bool engine_has_device(const struct engine *engine, uint32_t device)
{
	return device < (engine->tun_count > 0 ? engine->tun_count : 1);
}

void engine_clear_flows(struct engine *engine)
{
	flows_clear(&engine->flows);
}

void engine_remove_sa(struct engine *engine, struct sa *sa)
{
	struct sa **link;

	for (link = &engine->pending_sas; *link; link = &(*link)->pending_next) {
		if (*link == sa) {
			*link = sa->pending_next;
			break;
		}
	}
	engine_clear_flows(engine);
	sad_remove(&engine->sad, sa);
}

struct policy *engine_add_policy(struct engine *engine)
{
	struct policy *policy = calloc(1, sizeof(*policy));

	if (policy) {
		policy->handle = slots_add(&engine->policies, policy);
		if (policy->handle == SLOTS_NONE) {
			free(policy);
			return NULL;
		}
	}
	return policy;
}

struct policy *engine_policy(struct engine *engine, uint32_t handle)
{
	return slots_get(&engine->policies, handle);
}

void engine_remove_policy(struct engine *engine, struct policy *policy)
{
	struct policy **link;

	for (link = &engine->pending_policies; *link; link = &(*link)->pending_next) {
		if (*link == policy) {
			*link = policy->pending_next;
			break;
		}
	}
	engine_clear_flows(engine);
	slots_remove(&engine->policies, policy->handle);
	free(policy);
}

struct engine *engine_create(const struct engine_callbacks *callbacks)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (engine) {
		engine->callbacks = *callbacks;
		flows_clear(&engine->flows);
	}
	return engine;
}

bool engine_open(struct engine *engine, uv_loop_t *loop, const struct engine_config *config, struct net_error *error)
{
	struct tun *tun;
	uint32_t i;

	engine->fwmark = config->fwmark;
	engine->fragment = config->fragment;
	engine->clamp_mss = config->clamp_mss;
	if (!resources_open(engine, config, error)) {
		return false;
	}
	for (i = 0; i < NET_RAW_COUNT; i++) {
		if (engine->fds[i] < 0) {
			continue;
		}
		engine->open_polls++;
		uv_poll_init(loop, &engine->polls[i], engine->fds[i]);
		engine->polls[i].data = engine;
		uv_poll_start(&engine->polls[i], UV_READABLE, on_outer_readable);
	}
	for (tun = engine->tuns; tun < engine->tuns + engine->tun_count; tun++) {
		uv_poll_init(loop, &tun->poll, tun->fd);
		tun->poll.data = tun;
		uv_poll_start(&tun->poll, UV_READABLE, on_tun_readable);
	}
	engine->open_polls += engine->tun_count;
	engine->is_open = true;
	return true;
}

static void poll_closed(struct engine *engine)
{
	if (--engine->open_polls == 0) {
		resources_close(engine);
		engine->callbacks.closed(engine->callbacks.context);
	}
}

static void on_outer_closed(uv_handle_t *handle)
{
	poll_closed(handle->data);
}

static void on_tun_closed(uv_handle_t *handle)
{
	struct tun *tun = handle->data;

	poll_closed(tun->engine);
}

static void free_policy(void *object)
{
	free(object);
}

bool engine_close(struct engine *engine)
{
	struct tun *tun;
	int i;

	engine_clear_flows(engine);
	engine->pending_sas = NULL;
	engine->pending_policies = NULL;
	sad_clear(&engine->sad);
	slots_clear(&engine->policies, free_policy);
	if (!engine->is_open) {
		return false;
	}
	engine->is_open = false;
	for (i = 0; i < NET_RAW_COUNT; i++) {
		if (engine->fds[i] >= 0) {
			uv_poll_stop(&engine->polls[i]);
			uv_close((uv_handle_t *)&engine->polls[i], on_outer_closed);
		}
	}
	for (tun = engine->tuns; tun < engine->tuns + engine->tun_count; tun++) {
		uv_poll_stop(&tun->poll);
		uv_close((uv_handle_t *)&tun->poll, on_tun_closed);
	}
	return true;
}

void engine_destroy(struct engine *engine)
{
	free(engine);
}
