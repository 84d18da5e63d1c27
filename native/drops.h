/*
 * Why packets are dropped: one counter for each reason, and a report of one packet, at most once a second
 * and reason, for the audit log (RFC 4301 and 4303 say which drops are auditable events). What a reason
 * means, and what Linux calls it: src/dataplane/drop-reasons.ts.
 */
#ifndef LAGOPUS_DROPS_H_
#define LAGOPUS_DROPS_H_

#include "address.h"

#define DROP_REASONS(X)                                                                                                \
	X(inboundMalformed)                                                                                            \
	X(inboundUnknownSpi)                                                                                           \
	X(inboundExpired)                                                                                              \
	X(inboundLength)                                                                                               \
	X(inboundReplayed)                                                                                             \
	X(inboundIntegrity)                                                                                            \
	X(inboundInner)                                                                                                \
	X(inboundCongestion)                                                                                           \
	X(inboundSelectors)                                                                                            \
	X(inboundNoPolicy)                                                                                             \
	X(inboundTemplate)                                                                                             \
	X(inboundDiscarded)                                                                                            \
	X(tunWriteFailed)                                                                                              \
	X(outboundMalformed)                                                                                           \
	X(outboundTooLarge)                                                                                            \
	X(outboundNoPolicy)                                                                                            \
	X(outboundDiscarded)                                                                                           \
	X(outboundNoSa)                                                                                                \
	X(outboundTrapped)                                                                                             \
	X(outboundSequence)                                                                                            \
	X(outboundExpired)                                                                                             \
	X(outboundFailed)                                                                                              \
	X(sendTooLarge)                                                                                                \
	X(sendBusy)                                                                                                    \
	X(sendFailed)

enum drop_reason {
#define REASON(name) DROP_##name,
	DROP_REASONS(REASON)
#undef REASON
	DROP_COUNT
};

extern const char *const drop_names[DROP_COUNT];

/* What the auditable events of RFC 4301 and 4303 tell of a packet. */
struct drop_packet {
	/* 0 when no SA had to do with it. */
	uint32_t spi;
	uint32_t sequence;
	/* The outer addresses of a packet that came in, the inner ones of one that was to leave. */
	struct address source;
	struct address destination;
};

struct drop_report {
	uint64_t reported_ms;
	/* Packets dropped since the last report and not in one. */
	uint64_t left_out;
	bool is_pending;
	struct drop_packet packet;
};

struct drops {
	uint64_t counts[DROP_COUNT];
	struct drop_report reports[DROP_COUNT];
	bool is_pending;
};

/* `packet` may be NULL when nothing is known of it: it is then counted and not reported. */
void drops_count(struct drops *drops, enum drop_reason reason, const struct drop_packet *packet, uint64_t now_ms);

#endif
