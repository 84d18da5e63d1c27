/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/** One agent at a time, and a few that have to be told so */
#define BACKLOG 4

/**
 * Check if a socket file is left over from a charon that is gone
 */
static bool is_stale(struct sockaddr_un *addr)
{
	struct stat st;
	bool stale;
	int fd;

	if (lstat(addr->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
	{
		return FALSE;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
	{
		return FALSE;
	}
	stale = connect(fd, (struct sockaddr*)addr, sizeof(*addr)) != 0 &&
			errno == ECONNREFUSED;
	close(fd);
	return stale;
}

/**
 * Bind to a path, after removing a stale socket there
 */
static bool bind_path(int fd, struct sockaddr_un *addr)
{
	if (bind(fd, (struct sockaddr*)addr, sizeof(*addr)) == 0)
	{
		return TRUE;
	}
	if (errno != EADDRINUSE || !is_stale(addr))
	{
		errno = EADDRINUSE;
		return FALSE;
	}
	return unlink(addr->sun_path) == 0 &&
		   bind(fd, (struct sockaddr*)addr, sizeof(*addr)) == 0;
}

/**
 * Open the file to its group. It was private until now, so nobody else got in
 */
static bool open_to_group(const char *path)
{
	gid_t gid = lib->caps->get_gid(lib->caps);

	if (gid != getegid() && lchown(path, -1, gid) != 0)
	{
		return FALSE;
	}
	return chmod(path, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP) == 0;
}

/*
 * Described in header.
 */
bool listening_socket_open(listening_socket_t *this, const char **error)
{
	struct sockaddr_un addr = {
		.sun_family = AF_UNIX,
	};
	struct stat st;
	int fd;

	if (strlen(this->path) >= sizeof(addr.sun_path))
	{
		*error = "path too long";
		return FALSE;
	}
	strcpy(addr.sun_path, this->path);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
	{
		*error = strerror(errno);
		return FALSE;
	}
	/* on Linux the file gets the mode the socket has when it is bound: it is
	 * private from the start, and the process-wide umask is left alone */
	if (fchmod(fd, S_IRUSR | S_IWUSR) != 0 || !bind_path(fd, &addr) ||
		lstat(this->path, &st) != 0 || listen(fd, BACKLOG) != 0 ||
		(this->group_access && !open_to_group(this->path)))
	{
		*error = strerror(errno);
		close(fd);
		return FALSE;
	}
	this->fd = fd;
	this->dev = st.st_dev;
	this->ino = st.st_ino;
	return TRUE;
}

/*
 * Described in header.
 */
int listening_socket_accept(listening_socket_t *this, uid_t *uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int fd;

	fd = accept4(this->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd != -1 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
	{
		close(fd);
		return -1;
	}
	*uid = cred.uid;
	return fd;
}

/*
 * Described in header.
 */
void listening_socket_close(listening_socket_t *this)
{
	struct stat st;

	if (this->fd != -1)
	{
		close(this->fd);
		this->fd = -1;
		if (lstat(this->path, &st) == 0 && st.st_dev == this->dev &&
			st.st_ino == this->ino)
		{
			unlink(this->path);
		}
	}
}
