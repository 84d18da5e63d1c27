/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_server.h"
#include "kernel_lagopus_socket.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <threading/thread.h>
#include <unistd.h>

/** How often a handler is called that wants to be, in ms */
#define TICK 1000

/** How often a listen() that failed is tried again, in s */
#define LISTEN_INTERVAL 5

typedef struct private_server_t private_server_t;

/**
 * Private data
 */
struct private_server_t {

	/**
	 * Public interface
	 */
	server_t public;

	/**
	 * Whom we work for
	 */
	server_handler_t *handler;

	/**
	 * Socket we listen on
	 */
	listening_socket_t socket;

	/**
	 * When to try to listen again (monotonic), 0 if never tried
	 */
	time_t listen_time;

	/**
	 * The thread
	 */
	thread_t *thread;

	/**
	 * Wakes it
	 */
	int event;

	/**
	 * TRUE to end it
	 */
	atomic_bool stopped;
};

METHOD(server_t, wake, void,
	private_server_t *this)
{
	uint64_t one = 1;

	while (write(this->event, &one, sizeof(one)) == -1 && errno == EINTR)
	{
		continue;
	}
}

/**
 * Listen, and if that fails try again: no agent can connect meanwhile, which
 * is safe, while handing over to another kernel backend would not be
 */
static void try_listen(private_server_t *this)
{
	const char *error;
	time_t now = time_monotonic(NULL);

	if (this->socket.fd != -1 || this->listen_time > now)
	{
		return;
	}
	if (listening_socket_open(&this->socket, &error))
	{
		DBG1(DBG_KNL, "waiting for agent at %s", this->socket.path);
	}
	else if (!this->listen_time)
	{
		DBG1(DBG_KNL, "listening at %s failed: %s, will try again",
			 this->socket.path, error);
	}
	this->listen_time = now + LISTEN_INTERVAL;
}

/**
 * Accept a connection
 */
static void accept_peer(private_server_t *this)
{
	uid_t uid;
	int fd;

	fd = listening_socket_accept(&this->socket, &uid);
	if (fd != -1)
	{
		this->handler->accept(this->handler, fd, uid);
	}
}

/**
 * The thread
 */
static void *run(private_server_t *this)
{
	struct pollfd fds[3];
	uint64_t count;
	bool tick;

	while (TRUE)
	{
		try_listen(this);
		fds[0] = (struct pollfd){ .fd = this->event, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = this->socket.fd, .events = POLLIN };
		fds[2] = (struct pollfd){ .fd = -1 };
		tick = this->handler->get_events(this->handler, &fds[2].fd,
										 &fds[2].events);
		fds[2].events |= POLLIN;
		if (poll(fds, countof(fds), tick || this->socket.fd == -1 ? TICK
																  : -1) < 0)
		{
			continue;
		}
		if (atomic_load(&this->stopped))
		{
			return NULL;
		}
		if (fds[0].revents && read(this->event, &count, sizeof(count)) == -1)
		{
			DBG2(DBG_KNL, "reading event failed: %s", strerror(errno));
		}
		/* an agent that is gone makes room for the next one */
		this->handler->handle(this->handler, fds[2].revents);
		if (fds[1].revents)
		{
			accept_peer(this);
		}
	}
}

/**
 * Start the thread, charon's signals are not for it
 */
static thread_t *start_thread(private_server_t *this)
{
	sigset_t all, old;
	thread_t *thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	thread = thread_create((thread_main_t)run, this);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return thread;
}

METHOD(server_t, destroy, void,
	private_server_t *this)
{
	if (this->thread)
	{
		atomic_store(&this->stopped, TRUE);
		wake(this);
		this->thread->join(this->thread);
	}
	listening_socket_close(&this->socket);
	if (this->event != -1)
	{
		close(this->event);
	}
	free(this->socket.path);
	free(this);
}

/*
 * Described in header.
 */
server_t *server_create(const char *path, bool group, server_handler_t *handler)
{
	private_server_t *this;

	INIT(this,
		.public = {
			.wake = _wake,
			.destroy = _destroy,
		},
		.handler = handler,
		.socket = {
			.fd = -1,
			.path = strdup(path),
			.group_access = group,
		},
		.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	);
	/* the socket is there when charon is */
	try_listen(this);
	this->thread = this->event == -1 ? NULL : start_thread(this);
	if (!this->thread)
	{
		destroy(this);
		return NULL;
	}
	return &this->public;
}
