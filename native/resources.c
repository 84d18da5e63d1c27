/* struct mmsghdr */
#define _GNU_SOURCE

#include "engine-internal.h"

#include "path.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

static void allocate_mark(struct msghdr *message, struct mark_message *mark)
{
	message->msg_control = mark->bytes;
	message->msg_controllen = sizeof(mark->bytes);
	*CMSG_FIRSTHDR(message) = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SO_MARK,
		.cmsg_len = CMSG_LEN(sizeof(uint32_t)),
	};
}

static bool allocate(struct engine *engine, const struct engine_config *config)
{
	struct transmit *tx = &engine->tx;
	uint32_t i, mtu = 0;

	engine->tuns = calloc(config->device_count, sizeof(*engine->tuns));
	if (!engine->tuns) {
		return false;
	}
	engine->tun_count = config->device_count;
	for (i = 0; i < engine->tun_count; i++) {
		engine->tuns[i].engine = engine;
		engine->tuns[i].index = (uint8_t)i;
		engine->tuns[i].fd = -1;
		engine->tuns[i].mtu = config->devices[i].mtu;
		engine->tuns[i].coalescer.write = write_tun;
		engine->tuns[i].coalescer.context = &engine->tuns[i];
		mtu = mtu > config->devices[i].mtu ? mtu : config->devices[i].mtu;
	}
	tx->stride = (SA_HEADROOM + mtu + SA_TAILROOM + 127) / 64 * 64;
	tx->slots = malloc(tx->stride * SLICE);
	engine->tun_buffer = malloc(sizeof(struct virtio_net_hdr) + MAX_PACKET);
	engine->whole = malloc(SA_HEADROOM + MAX_PACKET + SA_TAILROOM);
	if (!tx->slots || !engine->tun_buffer || !engine->whole || !receive_allocate(&engine->rx) ||
	    !reassembler_allocate(&engine->reassembler, SA_HEADROOM, SA_TAILROOM)) {
		return false;
	}
	for (i = 0; i < SLICE; i++) {
		tx->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &tx->to[i],
			.msg_iov = &tx->parts[i],
			.msg_iovlen = 1,
		};
		allocate_mark(&tx->messages[i].msg_hdr, &tx->marks[i]);
	}
	return true;
}

static void release(struct engine *engine)
{
	free(engine->tx.slots);
	receive_release(&engine->rx);
	reassembler_release(&engine->reassembler);
	free(engine->tun_buffer);
	free(engine->whole);
	free(engine->tuns);
	engine->tx.slots = engine->tun_buffer = engine->whole = NULL;
	engine->tuns = NULL;
	engine->tun_count = 0;
}

static void close_descriptor(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

static void close_descriptors(struct engine *engine)
{
	uint32_t i;

	for (i = 0; i < NET_RAW_COUNT; i++) {
		close_descriptor(engine->fds[i]);
	}
	for (i = 0; i < engine->tun_count; i++) {
		close_descriptor(engine->tuns[i].fd);
	}
	tap_close(engine->tap);
	engine->tap = NULL;
	close_descriptor(engine->senders[FAMILY_IPV4]);
	close_descriptor(engine->senders[FAMILY_IPV6]);
	close_descriptor(engine->paths[FAMILY_IPV4]);
	close_descriptor(engine->paths[FAMILY_IPV6]);
}

/* A kernel may be without IPv6. */
static bool is_missing(bool is_ipv6, const struct net_error *error)
{
	return is_ipv6 && error->number == EAFNOSUPPORT;
}

static bool open_descriptors(struct engine *engine, const struct engine_config *config, struct net_error *error)
{
	const struct engine_device *device;
	uint32_t i;

	for (i = 0; i < FAMILIES; i++) {
		engine->senders[i] = net_open_sender(i == FAMILY_IPV6, config->fwmark, error);
		if (engine->senders[i] < 0 && !is_missing(i == FAMILY_IPV6, error)) {
			return false;
		}
	}
	/* Without one, path MTUs stay unknown. */
	engine->paths[FAMILY_IPV4] = path_socket(false);
	engine->paths[FAMILY_IPV6] = path_socket(true);
	for (i = 0; i < NET_RAW_COUNT; i++) {
		engine->fds[i] = net_open_raw(&net_raw[i], config->udp_port, config->fwmark, error);
		if (engine->fds[i] < 0 && !is_missing(net_raw[i].is_ipv6, error)) {
			return false;
		}
	}
	for (i = 0; i < config->device_count; i++) {
		device = &config->devices[i];
		engine->tuns[i].fd = net_open_tun(device->name, device->mtu, config->is_persistent, error);
		if (engine->tuns[i].fd < 0) {
			error->device = device->name;
			return false;
		}
	}
	if (config->tap && (engine->tap = tap_open(config->tap, error)) == NULL) {
		error->device = config->tap;
		return false;
	}
	return true;
}

bool resources_open(struct engine *engine, const struct engine_config *config, struct net_error *error)
{
	uint32_t i;

	*error = (struct net_error){ .what = "allocate packet buffers", .number = ENOMEM };
	for (i = 0; i < NET_RAW_COUNT; i++) {
		engine->fds[i] = -1;
	}
	/* Not to be guessed (RFC 7739). */
	if (getrandom(&engine->fragment_identification, sizeof(engine->fragment_identification), 0) < 0) {
		error->what = "draw an identification";
		error->number = errno;
		return false;
	}
	engine->senders[FAMILY_IPV4] = engine->senders[FAMILY_IPV6] = -1;
	engine->paths[FAMILY_IPV4] = engine->paths[FAMILY_IPV6] = -1;
	if (allocate(engine, config) && open_descriptors(engine, config, error)) {
		return true;
	}
	resources_close(engine);
	return false;
}

void resources_close(struct engine *engine)
{
	close_descriptors(engine);
	release(engine);
}
