/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_server kernel_lagopus_server
 * @{ @ingroup kernel_lagopus
 *
 * The one thread that listens, accepts, reads, and writes what workers could
 * not.
 */

#ifndef KERNEL_LAGOPUS_SERVER_H_
#define KERNEL_LAGOPUS_SERVER_H_

#include <sys/types.h>

#include <library.h>

typedef struct server_t server_t;
typedef struct server_handler_t server_handler_t;

/**
 * What the thread works for. All of it is called by that thread only.
 */
struct server_handler_t {

	/**
	 * What to wait for.
	 *
	 * @param fd		receives the connection, -1 if there is none
	 * @param events	receives poll() events besides POLLIN
	 * @return			TRUE to be called back every second
	 */
	bool (*get_events)(server_handler_t *this, int *fd, short *events);

	/**
	 * Something happened, or a second has passed, or somebody called wake().
	 *
	 * @param events	poll() events of the connection
	 */
	void (*handle)(server_handler_t *this, short events);

	/**
	 * Somebody connected.
	 *
	 * @param fd		non-blocking connection, gets owned
	 * @param uid		peer's user
	 */
	void (*accept)(server_handler_t *this, int fd, uid_t uid);
};

/**
 * The server.
 */
struct server_t {

	/**
	 * Have the thread look again, from any thread.
	 */
	void (*wake)(server_t *this);

	/**
	 * Stop listening and end the thread.
	 */
	void (*destroy)(server_t *this);
};

/**
 * Start to serve.
 *
 * @param path		path of the socket
 * @param group		TRUE if the socket's group may connect
 * @param handler	handler, has to outlive the server
 * @return			NULL if it can't run
 */
server_t *server_create(const char *path, bool group, server_handler_t *handler);

#endif /** KERNEL_LAGOPUS_SERVER_H_ @}*/
