/* struct mmsghdr */
#define _GNU_SOURCE

#include "engine-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* A multiple of the cache line, not of a page: the slots' first lines fall into different sets. */
#define RX_STRIDE (MAX_PACKET + 1472)

bool engine_is_busy(const struct engine *engine)
{
	return engine->is_busy;
}

const struct engine_statistics *engine_statistics(const struct engine *engine)
{
	return &engine->statistics;
}

struct sad *engine_sad(struct engine *engine)
{
	return &engine->sad;
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

static bool allocate(struct engine *engine)
{
	struct transmit *tx = &engine->tx;
	struct receive *rx = &engine->rx;
	uint32_t i;

	tx->stride = (ESP_HEADROOM + engine->mtu + ESP_TAILROOM + 127) / 64 * 64;
	tx->slots = malloc(tx->stride * SLICE);
	rx->slots = malloc((size_t)RX_STRIDE * SLICE);
	engine->tun_buffer = malloc(sizeof(struct virtio_net_hdr) + MAX_PACKET);
	if (!tx->slots || !rx->slots || !engine->tun_buffer) {
		return false;
	}
	for (i = 0; i < SLICE; i++) {
		tx->to[i].sin_family = AF_INET;
		tx->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &tx->to[i],
			.msg_namelen = sizeof(tx->to[i]),
			.msg_iov = &tx->parts[i],
			.msg_iovlen = 1,
		};
		rx->parts[i] = (struct iovec){ rx->slots + (size_t)i * RX_STRIDE, MAX_PACKET };
		rx->messages[i].msg_hdr = (struct msghdr){ .msg_iov = &rx->parts[i], .msg_iovlen = 1 };
	}
	engine->coalescer.write = write_tun;
	engine->coalescer.context = engine;
	return true;
}

static void release(struct engine *engine)
{
	free(engine->tx.slots);
	free(engine->rx.slots);
	free(engine->tun_buffer);
	engine->tx.slots = engine->rx.slots = engine->tun_buffer = NULL;
}

bool engine_open(struct engine *engine, uv_loop_t *loop, const struct engine_config *config, struct net_error *error)
{
	int i;

	engine->mtu = config->mtu;
	*error = (struct net_error){ "allocate packet buffers", ENOMEM };
	for (i = 0; i < POLL_COUNT; i++) {
		engine->fds[i] = -1;
	}
	engine->sender = -1;
	if (allocate(engine) && (engine->sender = net_open_sender(config->fwmark, error)) >= 0 &&
	    (engine->fds[POLL_ESP] = net_open_esp(error)) >= 0 &&
	    (engine->fds[POLL_UDP] = net_open_udp(config->udp_port, error)) >= 0) {
		engine->fds[POLL_TUN] = net_open_tun(config->tun_name, config->mtu, config->is_persistent, error);
	}
	if (engine->fds[POLL_TUN] < 0) {
		for (i = 0; i < POLL_COUNT; i++) {
			if (engine->fds[i] >= 0) {
				close(engine->fds[i]);
			}
		}
		if (engine->sender >= 0) {
			close(engine->sender);
		}
		release(engine);
		return false;
	}
	for (i = 0; i < POLL_COUNT; i++) {
		uv_poll_init(loop, &engine->polls[i], engine->fds[i]);
		engine->polls[i].data = engine;
		uv_poll_start(&engine->polls[i], UV_READABLE, i == POLL_TUN ? on_tun_readable : on_outer_readable);
	}
	engine->open_polls = POLL_COUNT;
	engine->is_open = true;
	return true;
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct engine *engine = handle->data;
	int i;

	if (--engine->open_polls > 0) {
		return;
	}
	for (i = 0; i < POLL_COUNT; i++) {
		close(engine->fds[i]);
	}
	close(engine->sender);
	release(engine);
	engine->callbacks.closed(engine->callbacks.context);
}

static void free_policy(void *object)
{
	free(object);
}

bool engine_close(struct engine *engine)
{
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
	for (i = 0; i < POLL_COUNT; i++) {
		uv_poll_stop(&engine->polls[i]);
		uv_close((uv_handle_t *)&engine->polls[i], on_poll_closed);
	}
	return true;
}

void engine_destroy(struct engine *engine)
{
	free(engine);
}
