/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_feed kernel_lagopus_feed
 * @{ @ingroup kernel_lagopus
 *
 * The plugin's end of the key feed: one agent, one thread for its socket,
 * requests that charon's workers wait for under a deadline.
 *
 *     DOWN ─ accept ─► HELLO ─ AGENT_HELLO ─► SYNCED ─ READY ─► READY
 *       ▲                          (snapshot)    ▲                │
 *       └── closed, malformed, overflow ──┘      └── NOT_READY ───┘
 *
 * READY may be suspended: a request was not answered in time, and until the
 * agent answers a probe all others fail at once.
 *
 * The backend's mutex guards this object as well: the tables and the numbers
 * of the messages change together. Methods are called with it held.
 */

#ifndef KERNEL_LAGOPUS_FEED_H_
#define KERNEL_LAGOPUS_FEED_H_

#include <collections/linked_list.h>
#include <threading/mutex.h>

#include "kernel_lagopus_requests.h"

typedef struct kernel_lagopus_feed_t kernel_lagopus_feed_t;
typedef struct feed_handler_t feed_handler_t;

/**
 * What the feed needs to know, and what it tells.
 */
struct feed_handler_t {

	/**
	 * Add a frame for every confirmed entry, in the order of their numbers.
	 * Called with the mutex held.
	 *
	 * @param frames	list to add to (chunk_t*, allocated)
	 */
	void (*snapshot)(feed_handler_t *this, linked_list_t *frames);

	/**
	 * Add a SETUP_FAILED for every CHILD_SA that is still not there. Called
	 * with the mutex held.
	 *
	 * @param frames	list to add to (chunk_t*, allocated)
	 */
	void (*failures)(feed_handler_t *this, linked_list_t *frames);

	/**
	 * Handle EXPIRE, ACQUIRE, MAPPING, USAGE and POLICY_USAGE. Called from
	 * the feed's thread, without the mutex.
	 */
	void (*message)(feed_handler_t *this, feed_message_t *message);

	/**
	 * The agent is ready. Called from the feed's thread, without the mutex.
	 *
	 * @param interface	interface to route to, NULL if none
	 */
	void (*ready)(feed_handler_t *this, char *interface);
};

/**
 * The feed.
 */
struct kernel_lagopus_feed_t {

	/**
	 * Get the number for the next message.
	 */
	uint64_t (*next_seq)(kernel_lagopus_feed_t *this);

	/**
	 * Check if requests can be answered.
	 */
	bool (*is_ready)(kernel_lagopus_feed_t *this);

	/**
	 * Send a message nobody waits for, if there is an agent to send it to;
	 * otherwise its next snapshot tells.
	 *
	 * @param frame		frame, gets owned and wiped
	 */
	void (*send)(kernel_lagopus_feed_t *this, chunk_t frame);

	/**
	 * Send a SETUP_FAILED, if there is an agent that asked for them.
	 *
	 * @param frame		frame, gets owned
	 */
	void (*report)(kernel_lagopus_feed_t *this, chunk_t frame);

	/**
	 * Send a request and wait for its answer, the mutex is released
	 * meanwhile. Fails at once if nobody could answer.
	 *
	 * @param request	request, numbered as the frame is
	 * @param frame		frame, gets owned and wiped
	 */
	call_t (*call)(kernel_lagopus_feed_t *this, feed_request_t *request,
				   chunk_t frame);

	/**
	 * Close the socket and end the thread. Called without the mutex.
	 */
	void (*destroy)(kernel_lagopus_feed_t *this);
};

/**
 * Start to listen for an agent.
 *
 * @param mutex			mutex of the tables
 * @param handler		handler, has to outlive the feed
 */
kernel_lagopus_feed_t *kernel_lagopus_feed_create(mutex_t *mutex,
												  feed_handler_t *handler);

#endif /** KERNEL_LAGOPUS_FEED_H_ @}*/
