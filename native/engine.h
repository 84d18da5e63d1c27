/*
 * The packet paths, driven by libuv on Node's own thread in slices of bounded length, so that the
 * control plane gets its turn between any two of them.
 *
 *     tun ─► split ─► flow cache ─► encapsulate ─► raw socket        (outbound)
 *     raw sockets ─► SA by SPI ─► decapsulate ─► selectors ─► flow cache ─► coalesce ─► tun
 *
 * There may be several TUN devices. A packet's device is part of its flow's key; an inbound SA has the
 * device its packets go to.
 *
 * What an engine decides by asking (the SPD) and what it reports goes through callbacks. `classify`
 * runs inside a slice and must not call back into the engine; the others run after it and may.
 */
#ifndef LAGOPUS_ENGINE_H_
#define LAGOPUS_ENGINE_H_

#include <uv.h>

#include "ah.h"
#include "esp.h"
#include "drops.h"
#include "flow.h"
#include "net.h"
#include "sad.h"

/* Traffic that is no drop; those are in drops.h. */
#define ENGINE_STATISTICS(X)                                                                                           \
	X(tunPacketsRead)                                                                                              \
	X(tunPacketsWritten)                                                                                           \
	X(outerPacketsReceived)                                                                                        \
	X(outerPacketsSent)                                                                                            \
	X(bypassed)                                                                                                    \
	X(icmpTooBigSent)                                                                                              \
	X(inboundDummy)                                                                                                \
	X(tapPacketsWritten)                                                                                           \
	X(tapWritesFailed)

struct engine_statistics {
#define FIELD(name) uint64_t name;
	ENGINE_STATISTICS(FIELD)
#undef FIELD
};

struct verdict {
	enum flow_action action;
	/* Handles; SLOTS_NONE for none. */
	uint32_t policy;
	uint32_t sa;
};

struct engine_callbacks {
	struct verdict (*classify)(void *context, const struct flow_key *key);
	/* One enum sa_event. The SA may be removed from within. */
	void (*sa_event)(void *context, struct sa *sa, uint32_t event);
	void (*acquire)(void *context, uint32_t policy, const struct flow_key *key);
	/* A dropped packet, and how many more there were since the last one that was told. */
	void (*dropped)(void *context, enum drop_reason reason, const struct drop_packet *packet, uint64_t left_out);
	/* The device or a socket is unusable: nothing more will come. */
	void (*fault)(void *context, const char *what, int number);
	/* A slice is over; no callback comes before the next one. */
	void (*slice_end)(void *context);
	/* Every descriptor is closed: the engine may be destroyed. */
	void (*closed)(void *context);
	void *context;
};

/* As many as a flow key tells apart. */
#define ENGINE_MAX_DEVICES 256

/* What becomes of an IPv4 packet without DF that does not fit through a tunnel. */
enum fragment_policy {
	/* Fragments of it are encapsulated. */
	FRAGMENT_BEFORE = 0,
	/* It is encapsulated, and the outer packet fragmented. */
	FRAGMENT_AFTER = 1,
	/* As if it had DF. */
	FRAGMENT_NEVER = 2,
};

struct engine_device {
	char name[IFNAMSIZ];
	uint32_t mtu;
};

struct engine_config {
	/* 1 to ENGINE_MAX_DEVICES; the first is the one of SAs that name none. */
	const struct engine_device *devices;
	uint32_t device_count;
	bool is_persistent;
	uint32_t fwmark;
	uint16_t udp_port;
	enum fragment_policy fragment;
	/* Whether the TCP MSS option is held down to what fits through a tunnel. */
	bool clamp_mss;
	/* The device on which packets are seen in clear (tap.h), or NULL. */
	const char *tap;
};

struct engine;

struct engine *engine_create(const struct engine_callbacks *callbacks);
/* False with the reason; the engine is then as it was. */
bool engine_open(struct engine *engine, uv_loop_t *loop, const struct engine_config *config, struct net_error *error);
/* Wipes all SAs and closes the descriptors; `closed` is called later if true, never if false. */
bool engine_close(struct engine *engine);
void engine_destroy(struct engine *engine);

/* True while a slice runs: nothing may be changed. */
bool engine_is_busy(const struct engine *engine);
uint64_t engine_now_ms(void);
const struct engine_statistics *engine_statistics(const struct engine *engine);
/* By enum drop_reason. */
const uint64_t *engine_drop_counts(const struct engine *engine);

struct sad *engine_sad(struct engine *engine);
/* Whether an SA may name this device. Before the engine is open there is the first one. */
bool engine_has_device(const struct engine *engine, uint32_t device);
/*
 * Gives a TUN device another MTU, up to the one it was opened with: what is longer is then told to the host by
 * its own kernel. Packets under way are not affected. False with errno.
 */
bool engine_set_mtu(struct engine *engine, uint32_t device, uint32_t mtu);
/* The largest packet that fits through an outbound tunnel as far as its path is known; 0: not known, or not a tunnel. */
size_t engine_largest_inner(struct engine *engine, struct sa *sa);
/*
 * Delivers what the raw sockets hold already, up to a bound; callbacks are called from within. Call it
 * before an inbound SA is removed: what came for it while it was there is still delivered.
 */
void engine_receive(struct engine *engine);
/* Forgets everything the SPD said. Call it before an SA or policy is removed and after any change. */
void engine_clear_flows(struct engine *engine);
void engine_remove_sa(struct engine *engine, struct sa *sa);
/* NULL without memory. */
struct policy *engine_add_policy(struct engine *engine);
struct policy *engine_policy(struct engine *engine, uint32_t handle);
void engine_remove_policy(struct engine *engine, struct policy *policy);

/*
 * One packet without any descriptor, for tests and benchmarks: the same code between the reads and the
 * writes. The result lies in the buffer given, around `inner` (see esp_encapsulate()) or in `outer`, an
 * outer packet.
 */
enum esp_result engine_encapsulate(struct engine *engine, struct sa *sa, uint8_t *inner, size_t length,
	size_t largest, struct esp_packet *outer);
enum esp_result engine_decapsulate(struct engine *engine, uint8_t *outer, size_t length, struct esp_packet *inner);

#endif
