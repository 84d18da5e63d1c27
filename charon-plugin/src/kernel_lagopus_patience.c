/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_patience.h"

/** Deadline in ms, and the longest an agent can ask for */
#define DEFAULT_DEADLINE 1000
#define MAX_DEADLINE 30000

/** How long workers beyond half of them wait since the last answer, in ms */
#define DEFAULT_STALL 400

/** Of the dataplane's usual latency */
#define LATENCY_FACTOR 3

/** How soon a probe that was answered with a failure is repeated, in s */
#define PROBE_INTERVAL 1

/**
 * Get a time from strongswan.conf
 */
static uint32_t get_option(const char *name, uint32_t def, uint32_t smallest)
{
	int value;

	value = lib->settings->get_int(lib->settings,
						"%s.plugins.kernel-lagopus.%s", def, lib->ns, name);
	return min(max(value, (int)smallest), MAX_DEADLINE);
}

/*
 * Described in header.
 */
void patience_init(patience_t *this)
{
	this->configured = get_option("deadline", DEFAULT_DEADLINE, 1);
	this->stall = get_option("stall", DEFAULT_STALL, 0);
	patience_reset(this);
}

/*
 * Described in header.
 */
void patience_reset(patience_t *this)
{
	this->deadline = this->configured;
	this->suspended = FALSE;
	this->probe = 0;
	this->probe_time = 0;
}

/*
 * Described in header.
 */
void patience_set_latency(patience_t *this, uint32_t latency_us)
{
	uint32_t wanted = latency_us / 1000 * LATENCY_FACTOR;

	this->deadline = min(max(this->configured, wanted), MAX_DEADLINE);
}

/*
 * Described in header.
 */
uint32_t patience_get_stall(patience_t *this, u_int waiting)
{
	u_int half = lib->processor->get_total_threads(lib->processor) / 2;

	return waiting < max(half, 1) ? this->deadline : this->stall;
}

/*
 * Described in header.
 */
bool patience_miss(patience_t *this)
{
	bool first = !this->suspended;

	this->suspended = TRUE;
	return first;
}

/*
 * Described in header.
 */
void patience_probe_sent(patience_t *this, uint64_t seq)
{
	this->probe = seq;
	this->probe_time = 0;
}

/*
 * Described in header.
 */
void patience_probe_answered(patience_t *this, bool ok)
{
	this->probe = 0;
	if (ok)
	{
		this->suspended = FALSE;
	}
	else
	{
		this->probe_time = time_monotonic(NULL) + PROBE_INTERVAL;
	}
}
