/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_patience kernel_lagopus_patience
 * @{ @ingroup kernel_lagopus
 *
 * How long charon's workers wait for the agent, and whether they wait at all:
 *
 *     trusting ── a deadline was missed ──► suspended ── probe answered ─┐
 *        ▲                                                               │
 *        └───────────────────────────────────────────────────────────────┘
 *
 * The backend's mutex guards it.
 */

#ifndef KERNEL_LAGOPUS_PATIENCE_H_
#define KERNEL_LAGOPUS_PATIENCE_H_

#include <library.h>

typedef struct patience_t patience_t;

/**
 * State for one agent; read it, change it with the functions below.
 */
struct patience_t {
	/** configured deadline, in ms */
	uint32_t configured;
	/** deadline for this agent, in ms */
	uint32_t deadline;
	/** how long workers beyond half of them wait for an agent that answers
	 * nobody, in ms */
	uint32_t stall;
	/** TRUE if nobody waits until a probe is answered */
	bool suspended;
	/** number of the probe that is not answered yet, 0 if none */
	uint64_t probe;
	/** when to send another one (monotonic, in s), 0 if never */
	time_t probe_time;
};

/**
 * Read the settings.
 */
void patience_init(patience_t *this);

/**
 * There is another agent, or none.
 */
void patience_reset(patience_t *this);

/**
 * The agent states the latency of its dataplane.
 */
void patience_set_latency(patience_t *this, uint32_t latency_us);

/**
 * How long the next request waits for an agent that answers nobody.
 *
 * Half of charon's workers wait for the deadline. The others wait as well as
 * long as the agent answers somebody, as it does in a burst of setups, but
 * are not spent on one that does not.
 *
 * @param waiting	how many workers wait already
 * @return			time in ms, 0 if it must not wait at all
 */
uint32_t patience_get_stall(patience_t *this, u_int waiting);

/**
 * A deadline was missed.
 *
 * @return			TRUE if a probe has to be sent
 */
bool patience_miss(patience_t *this);

/**
 * A probe was sent.
 */
void patience_probe_sent(patience_t *this, uint64_t seq);

/**
 * The agent answered a probe.
 */
void patience_probe_answered(patience_t *this, bool ok);

#endif /** KERNEL_LAGOPUS_PATIENCE_H_ @}*/
