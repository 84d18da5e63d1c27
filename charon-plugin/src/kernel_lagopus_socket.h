/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_socket kernel_lagopus_socket
 * @{ @ingroup kernel_lagopus
 *
 * The listening unix socket: created private and then, if that is wished, opened
 * to a group; never taken from a charon that still answers, and removed only by
 * who made it.
 */

#ifndef KERNEL_LAGOPUS_SOCKET_H_
#define KERNEL_LAGOPUS_SOCKET_H_

#include <sys/types.h>

#include <library.h>

typedef struct listening_socket_t listening_socket_t;

/**
 * A listening socket
 */
struct listening_socket_t {
	/** file descriptor, -1 if not listening */
	int fd;
	/** file it is reached by */
	char *path;
	/** whether the file's group may connect, not only its owner */
	bool group_access;
	/** identity of that file */
	dev_t dev;
	ino_t ino;
};

/**
 * Listen, mode 0600; with group access 0660, for charon.group if that is set,
 * else for the group the file got from its directory or from the process.
 *
 * @param this			socket, its path and access are set
 * @param error			receives what failed
 * @return				FALSE if it is impossible (now)
 */
bool listening_socket_open(listening_socket_t *this, const char **error);

/**
 * Accept a connection that is ready to be accepted.
 *
 * @param uid			receives the peer's user
 * @return				non-blocking file descriptor, -1 if none
 */
int listening_socket_accept(listening_socket_t *this, uid_t *uid);

/**
 * Stop listening and remove the file if it is still this socket's.
 */
void listening_socket_close(listening_socket_t *this);

#endif /** KERNEL_LAGOPUS_SOCKET_H_ @}*/
