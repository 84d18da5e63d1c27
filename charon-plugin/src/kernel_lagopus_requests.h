/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_requests kernel_lagopus_requests
 * @{ @ingroup kernel_lagopus
 *
 * Charon's workers that wait for the agent. Every request is answered, or
 * abandoned with its connection, or times out: nobody waits longer than that.
 * Called with the backend's mutex held.
 */

#ifndef KERNEL_LAGOPUS_REQUESTS_H_
#define KERNEL_LAGOPUS_REQUESTS_H_

#include <library.h>
#include <threading/condvar.h>
#include <threading/mutex.h>

#include "kernel_lagopus_reader.h"

typedef struct requests_t requests_t;
typedef struct feed_request_t feed_request_t;

/**
 * What came of a request
 */
typedef enum {
	/** the agent did it */
	CALL_OK,
	/** the agent did not do it */
	CALL_REFUSED,
	/** nobody was asked, or nobody is left who remembers */
	CALL_NO_AGENT,
	/** no answer in time: it may still be done, and has to be undone */
	CALL_UNKNOWN,
} call_t;

/**
 * A request, usually on the stack of the worker that waits for it.
 */
struct feed_request_t {
	/** number of the message, set by the caller */
	uint64_t seq;
	/** called with the mutex held as soon as the agent says OK, and before
	 * anything else can happen; optional */
	void (*commit)(void *data);
	/** its argument */
	void *data;
	/** SPI the agent returned in network order, 0 if none */
	uint32_t spi;
	/** why it failed, for logs */
	char reason[256];
	/** TRUE if the agent says that it would fail again */
	bool permanent;

	/** TRUE once it is known what came of it (internal) */
	bool done;
	/** what came of it (internal) */
	call_t outcome;
	/** TRUE if it missed its deadline */
	bool missed;
	/** wakes the worker (internal) */
	condvar_t *condvar;
};

/**
 * The requests that are waited for.
 */
struct requests_t {

	/**
	 * Wait for the answer to a request that was just sent. The mutex is
	 * released meanwhile.
	 *
	 * @param deadline	how long at most, in ms
	 * @param stall		how long if the agent answers nobody, in ms
	 */
	call_t (*wait)(requests_t *this, feed_request_t *request, uint32_t deadline,
				   uint32_t stall);

	/**
	 * Hand a RESULT to the worker that waits for it, if there is still one.
	 */
	void (*answer)(requests_t *this, feed_message_t *result);

	/**
	 * None of them will be answered any more.
	 */
	void (*abandon)(requests_t *this);

	/**
	 * How many workers are waiting.
	 */
	u_int (*get_count)(requests_t *this);

	/**
	 * Destroy this, nobody may be waiting.
	 */
	void (*destroy)(requests_t *this);
};

/**
 * Fail a request that is not even sent.
 */
call_t request_fail(feed_request_t *request, const char *reason);

/**
 * Create an object for requests.
 *
 * @param mutex		the backend's mutex
 */
requests_t *requests_create(mutex_t *mutex);

#endif /** KERNEL_LAGOPUS_REQUESTS_H_ @}*/
