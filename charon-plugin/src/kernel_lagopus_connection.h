/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_connection kernel_lagopus_connection
 * @{ @ingroup kernel_lagopus
 *
 * Bytes to and from one agent. Nothing here blocks: what the socket does not
 * take is queued, within limits. Everything that may be a key is wiped.
 */

#ifndef KERNEL_LAGOPUS_CONNECTION_H_
#define KERNEL_LAGOPUS_CONNECTION_H_

#include "kernel_lagopus_reader.h"

typedef struct connection_t connection_t;

/**
 * What came of reading
 */
typedef enum {
	/** a message */
	RECEIVED_MESSAGE,
	/** no complete message yet */
	RECEIVED_NOTHING,
	/** bytes that are none */
	RECEIVED_MALFORMED,
} received_t;

/**
 * A connection. The caller serializes send(), flush() and is_writing();
 * receive() and next() belong to one thread.
 */
struct connection_t {

	/**
	 * Get the socket.
	 */
	int (*get_fd)(connection_t *this);

	/**
	 * Send a frame, or queue what the socket does not take now.
	 *
	 * @param frame		frame, gets owned and wiped
	 * @param limited	FALSE if the queue's limit does not apply
	 * @return			FALSE if the connection is unusable from now on
	 */
	bool (*send)(connection_t *this, chunk_t frame, bool limited);

	/**
	 * Send from the queue.
	 *
	 * @return			FALSE if the connection is unusable from now on
	 */
	bool (*flush)(connection_t *this);

	/**
	 * Check if there is anything in the queue.
	 */
	bool (*is_writing)(connection_t *this);

	/**
	 * Read what has arrived.
	 *
	 * @return			FALSE if the peer is gone
	 */
	bool (*receive)(connection_t *this);

	/**
	 * Get the next message that has arrived.
	 *
	 * @param message	message, valid until receive() or next() is called
	 * @param error		filled in for RECEIVED_MALFORMED
	 */
	received_t (*next)(connection_t *this, feed_message_t *message,
					   reader_error_t *error);

	/**
	 * Close the connection and wipe its buffers.
	 */
	void (*destroy)(connection_t *this);
};

/**
 * Create a connection.
 *
 * @param fd			non-blocking socket, gets owned
 * @param queue_limit	limit of the queue in bytes
 */
connection_t *connection_create(int fd, size_t queue_limit);

#endif /** KERNEL_LAGOPUS_CONNECTION_H_ @}*/
