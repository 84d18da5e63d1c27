/*
 * A Security Association (RFC 4301, 4.4.2): what ESP and AH, tunnel and transport mode have in common.
 */
#ifndef LAGOPUS_SA_H_
#define LAGOPUS_SA_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ip.h"
#include "replay.h"
#include "sequence.h"
#include "transform.h"

#define SA_MAX_SELECTORS 256

/* What happened to an SA that somebody must hear of. Bits, so that they can wait in the SA. */
enum sa_event {
	SA_SOFT_BYTES = 1,
	SA_SOFT_PACKETS = 2,
	SA_HARD_BYTES = 4,
	SA_HARD_PACKETS = 8,
	SA_SEQUENCE_OVERFLOW = 16,
	SA_PEER_ADDRESS = 32,
};

enum esp_result {
	ESP_OK = 0,
	ESP_MALFORMED,
	ESP_REPLAYED,
	ESP_INTEGRITY,
	/* RFC 4303, 2.6: next header 59, to be discarded without a word. */
	ESP_DUMMY,
	/* RFC 6040: the path marked a packet that is not ECN-capable. */
	ESP_CONGESTION,
	/* No sequence numbers left. */
	ESP_EXHAUSTED,
	/* No lifetime left. */
	ESP_EXPIRED,
	/* What was decrypted or authenticated is no packet: padding, or its header. */
	ESP_INNER,
	/* Not what the SA is for, or what the SPD lets come out of it. */
	ESP_SELECTORS,
	ESP_POLICY,
};

/* One side of a traffic selector, for one address family; first_port > last_port is OPAQUE. */
struct selector {
	struct address first;
	struct address last;
	bool is_ipv6;
	uint16_t first_port;
	uint16_t last_port;
	uint8_t protocol;
};

struct selectors {
	struct selector *items;
	uint32_t count;
};

struct sa_limits {
	uint64_t bytes;
	uint64_t packets;
};

struct sa_counters {
	uint64_t bytes;
	uint64_t packets;
	uint64_t replay_drops;
	uint64_t integrity_failures;
	uint64_t selector_drops;
	uint64_t malformed_drops;
	/* Monotonic milliseconds, 0 for never. */
	uint64_t last_use_ms;
};

struct sa {
	/* Set by the caller, and its transform with transform_init(). Ports in host order. */
	bool inbound;
	/* IPPROTO_ESP or IPPROTO_AH. */
	uint8_t protocol;
	bool is_transport;
	uint32_t spi;
	/* Of one family. */
	struct address source;
	struct address destination;
	bool udp;
	uint16_t source_port;
	uint16_t destination_port;
	bool copy_df;
	bool copy_ecn;
	bool copy_dscp_out;
	bool copy_dscp_in;
	/* Inbound: the TUN device its packets go to. */
	uint8_t device;
	/* Inbound: SAs of one group are alike to the SPD, so that its answer for one is good for all. */
	uint32_t group;
	/* Outbound: the mark its packets are sent under. */
	uint32_t mark;
	struct sa_limits soft;
	struct sa_limits hard;
	struct selectors source_selectors;
	struct selectors destination_selectors;
	/* Outbound. */
	struct sequence sequence;
	/* Outbound: shorter inner packets are padded to this many bytes, or as far as it goes (RFC 4303, 2.7). */
	uint32_t tfc_length;
	/* Inbound. */
	struct replay replay;
	/* Outbound: the path MTU, 0 before it was asked for, and when it was. */
	uint32_t path_mtu;
	uint32_t path_epoch;
	uint64_t path_asked_ms;

	struct transform transform;

	struct sa_counters counters;
	bool exhausted;
	/* enum sa_event bits raised already, and those nobody has taken yet. */
	uint32_t raised;
	uint32_t pending;
	/* Where valid packets come from, when that is not source and source_port. */
	struct address peer_address;
	uint16_t peer_port;
	uint64_t peer_reported_ms;

	/* Owned by the tables this SA is in. */
	uint32_t handle;
	struct sa *hash_next;
	struct sa *pending_next;
};

/* Wipes the keys and frees everything an SA holds, but not the SA. */
void sa_free(struct sa *sa);

/* Raises an event, once in the life of the SA. */
void sa_raise(struct sa *sa, uint32_t event);

/* Counts a packet that was sent or delivered, and ends an SA whose lifetime is over with it. */
void sa_count(struct sa *sa, size_t length, uint64_t now_ms);

/* RFC 4301, 5.2, step 4: does the packet match the SA it came in on? */
bool sa_selectors_match(const struct sa *sa, const struct flow_key *key);

#endif
