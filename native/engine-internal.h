/*
 * What the files of the engine share: its state, and the frame of a slice.
 *
 *     engine.c    life and objects      slice.c    slices, reports, the SPD's answers
 *     outbound.c  TUN to sockets        inbound.c  sockets to TUN
 */
#ifndef LAGOPUS_ENGINE_INTERNAL_H_
#define LAGOPUS_ENGINE_INTERNAL_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include "engine.h"
#include "offload.h"

/* Packets per slice, on either path: a few hundred microseconds of work. */
#define SLICE 64
#define MAX_PACKET 65536

enum { POLL_TUN, POLL_ESP, POLL_UDP, POLL_COUNT };

struct transmit {
	uint32_t count;
	size_t stride;
	uint8_t *slots;
	struct mmsghdr messages[SLICE];
	struct iovec parts[SLICE];
	struct sockaddr_in to[SLICE];
};

struct receive {
	uint8_t *slots;
	struct mmsghdr messages[SLICE];
	struct iovec parts[SLICE];
};

struct engine {
	struct engine_callbacks callbacks;
	struct sad sad;
	struct slots policies;
	struct flows flows;
	struct engine_statistics statistics;
	struct sa *pending_sas;
	struct policy *pending_policies;
	struct coalescer coalescer;
	struct transmit tx;
	struct receive rx;
	uint8_t *tun_buffer;
	uint64_t now_ms;
	uint32_t mtu;
	uint16_t identification;
	bool is_busy;
	bool is_open;
	int sender;
	int fds[POLL_COUNT];
	uint32_t open_polls;
	uv_poll_t polls[POLL_COUNT];
};

/* slice.c */
void slice_begin(struct engine *engine);
/* Tells what was noted meanwhile. */
void slice_finish(struct engine *engine);
/* Ends a descriptor that failed, and says so. */
void slice_fault(struct engine *engine, uv_poll_t *poll, const char *what, int number);
/* After a packet of this SA, whose pending events were `before`. */
void note_sa(struct engine *engine, struct sa *sa, uint32_t before);
void note_acquire(struct engine *engine, struct policy *policy, const struct flow_key *key);
const struct flow *lookup_flow(struct engine *engine, const struct flow_key *key);
void count_policy(const struct engine *engine, struct policy *policy, size_t length);

/* outbound.c */
void on_tun_readable(uv_poll_t *poll, int status, int events);

/* inbound.c */
void on_outer_readable(uv_poll_t *poll, int status, int events);
/* For the coalescer: `context` is the engine. */
void write_tun(void *context, const struct iovec *parts, int count);

#endif
