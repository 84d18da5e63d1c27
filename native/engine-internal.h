/*
 * What the files of the engine share: its state, and the frame of a slice.
 *
 *     engine.c    life and objects      resources.c  buffers and descriptors of an open engine
 *     outbound.c  TUN to sockets        inbound.c    sockets to TUN
 *     fit.c       what does not fit
 *     slice.c     slices, reports, the SPD's answers
 */
#ifndef LAGOPUS_ENGINE_INTERNAL_H_
#define LAGOPUS_ENGINE_INTERNAL_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include "engine.h"
#include "offload.h"
#include "reassemble.h"
#include "receive.h"
#include "tap.h"

#define MAX_PACKET 65536

enum { FAMILY_IPV4, FAMILY_IPV6, FAMILIES };

/* A control message with one mark (SO_MARK). */
struct mark_message {
	_Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(uint32_t))];
};

struct transmit {
	uint32_t count;
	size_t stride;
	uint8_t *slots;
	struct mmsghdr messages[SLICE];
	struct iovec parts[SLICE];
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} to[SLICE];
	struct mark_message marks[SLICE];
};

/* A TUN device. */
struct tun {
	struct engine *engine;
	/* Its place among the engine's devices. */
	uint8_t index;
	int fd;
	uint32_t mtu;
	uv_poll_t poll;
	/* What is on its way to it: flows of two devices are never one segment. */
	struct coalescer coalescer;
};

struct engine {
	struct engine_callbacks callbacks;
	struct sad sad;
	struct slots policies;
	struct flows flows;
	struct engine_statistics statistics;
	struct drops drops;
	struct sa *pending_sas;
	struct policy *pending_policies;
	struct transmit tx;
	struct receive rx;
	uint8_t *tun_buffer;
	uint64_t now_ms;
	uint32_t fwmark;
	enum fragment_policy fragment;
	bool clamp_mss;
	/* By family: what paths are asked with. */
	int paths[FAMILIES];
	/* Path MTUs asked for in an earlier one are asked for again. */
	uint32_t path_epoch;
	uint64_t icmp_since_ms;
	uint32_t icmp_count;
	/* A packet that is to be fragmented, with room around it as in a slot. */
	uint8_t *whole;
	uint16_t identification;
	/* Of IPv6 datagrams that are sent in fragments. */
	uint32_t fragment_identification;
	struct reassembler reassembler;
	/* NULL when it is off. */
	struct tap *tap;
	bool is_busy;
	bool is_open;
	/* By family; -1 for one the system does not have. */
	int senders[FAMILIES];
	struct tun *tuns;
	uint32_t tun_count;
	/* As net_raw has them. */
	int fds[NET_RAW_COUNT];
	uint32_t open_polls;
	uv_poll_t polls[NET_RAW_COUNT];
};

/* resources.c; nothing stays open when it fails. */
bool resources_open(struct engine *engine, const struct engine_config *config, struct net_error *error);
void resources_close(struct engine *engine);

/* slice.c */
void slice_begin(struct engine *engine);
/* Tells what was noted meanwhile. */
void slice_finish(struct engine *engine);
/* Ends a descriptor that failed, and says so. */
void slice_fault(struct engine *engine, uv_poll_t *poll, const char *what, int number);
/* After a packet of this SA, whose pending events were `before`. */
void note_sa(struct engine *engine, struct sa *sa, uint32_t before);
/* The copy of a packet for the tap, whatever becomes of it; call it where there is one. */
void tap_packet(struct engine *engine, enum tap_direction direction, const struct sa *sa, const uint8_t *packet,
	const struct ip *ip);
/* Counts a packet that is dropped; `packet` as for drops_count(). */
void drop(struct engine *engine, enum drop_reason reason, const struct drop_packet *packet);
/* The same for a packet on its way out, of which this is known; SA and key may be NULL. */
void drop_outbound(struct engine *engine, enum drop_reason reason, const struct sa *sa, const struct flow_key *key);
void note_acquire(struct engine *engine, struct policy *policy, const struct flow_key *key);
const struct flow *lookup_flow(struct engine *engine, const struct flow_key *key);
void count_policy(const struct engine *engine, struct policy *policy, size_t length);

/* outbound.c */
void on_tun_readable(uv_poll_t *poll, int status, int events);

/* fit.c: what becomes of packets that are larger than their tunnel's path takes */
enum fit {
	FIT_WHOLE,
	/* Fragments of it are encapsulated, or it is and the outer packet fragmented. */
	FIT_FRAGMENTS_BEFORE,
	FIT_FRAGMENTS_AFTER,
	/* Drop it and tell its sender. */
	FIT_TOO_BIG,
};
/* The largest packet that an SA carries unfragmented. */
size_t fit_largest(struct tun *tun, struct sa *sa, const uint8_t *packet, const struct ip *ip);
/* `length` is that of the packet, or of its largest segment. */
enum fit fit_decide(const struct engine *engine, const struct sa *sa, const struct flow_key *key, const uint8_t *packet,
	const struct ip *ip, size_t length, size_t largest);
void fit_tell_sender(struct tun *tun, const uint8_t *packet, size_t length, const struct ip *ip, size_t largest);
/* A link did not take what was thought to fit. */
void fit_forget_paths(struct engine *engine);

/* inbound.c */
void on_outer_readable(uv_poll_t *poll, int status, int events);
/* For the coalescer: `context` is the TUN device. */
void write_tun(void *context, const struct iovec *parts, int count);

#endif
