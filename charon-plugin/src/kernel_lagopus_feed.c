/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_feed.h"
#include "kernel_lagopus_connection.h"
#include "kernel_lagopus_messages.h"
#include "kernel_lagopus_socket.h"

#include <daemon.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <threading/thread.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/charon.lagopus"

/** How long requests are waited for, in ms, and the most an agent can ask for */
#define DEFAULT_DEADLINE 1000
#define MAX_DEADLINE 30000

/** How long those beyond half of charon's workers are waited for, in ms */
#define DEFAULT_BURST_WAIT 50

/** Bytes that may wait to be sent */
#define DEFAULT_QUEUE_LIMIT (4 * 1024 * 1024)

/** How long an agent has for its AGENT_HELLO, in s */
#define HELLO_TIMEOUT 5

/** How often a refused probe and a failed listen() are tried again, in s */
#define PROBE_INTERVAL 1
#define LISTEN_INTERVAL 5

/** Length of the instance id */
#define INSTANCE_LEN 16

typedef struct private_kernel_lagopus_feed_t private_kernel_lagopus_feed_t;

/**
 * State of the connection
 */
typedef enum {
	STATE_DOWN,
	STATE_HELLO,
	STATE_SYNCED,
	STATE_READY,
} state_t;

/**
 * Private data
 */
struct private_kernel_lagopus_feed_t {

	/**
	 * Public interface
	 */
	kernel_lagopus_feed_t public;

	/**
	 * Mutex of the tables, guards this object as well
	 */
	mutex_t *mutex;

	/**
	 * Where upcalls go
	 */
	feed_handler_t *handler;

	/**
	 * Socket we listen on, only the thread uses it
	 */
	listening_socket_t socket;

	/**
	 * Thread doing all the reading, and the writing workers can't
	 */
	thread_t *thread;

	/**
	 * Wakes the thread
	 */
	int event;

	/**
	 * TRUE to end the thread
	 */
	bool stopped;

	/**
	 * Identity of this charon
	 */
	u_char instance[INSTANCE_LEN];

	/**
	 * Number of the latest message
	 */
	uint64_t seq;

	/**
	 * Connection to the agent, NULL if there is none; only the thread
	 * creates and destroys it
	 */
	connection_t *connection;

	/**
	 * State of that connection
	 */
	state_t state;

	/**
	 * Why a worker found the connection unusable, NULL if it is not
	 */
	const char *broken;

	/**
	 * TRUE since a deadline was missed
	 */
	bool suspended;

	/**
	 * Number of the probe that is not answered yet, 0 if none
	 */
	uint64_t probe;

	/**
	 * When the thread has to do something by itself: give up waiting for
	 * AGENT_HELLO, probe again (monotonic, in s; 0 if never)
	 */
	time_t hello_timeout;
	time_t probe_time;

	/**
	 * Requests that are waited for (feed_request_t*)
	 */
	linked_list_t *requests;

	/**
	 * Configured deadline, and the one in force for this agent, in ms
	 */
	uint32_t configured_deadline;
	uint32_t deadline;

	/**
	 * Deadline beyond half of the workers, in ms
	 */
	uint32_t burst_wait;

	/**
	 * Limit of the connection's queue
	 */
	size_t queue_limit;
};

/**
 * Wake the thread
 */
static void wake(private_kernel_lagopus_feed_t *this)
{
	uint64_t one = 1;

	while (write(this->event, &one, sizeof(one)) == -1 && errno == EINTR)
	{
		continue;
	}
}

/**
 * Send a frame if the connection is usable, mutex held
 */
static void transmit(private_kernel_lagopus_feed_t *this, chunk_t frame,
					 bool limited)
{
	if (!this->connection || this->broken)
	{
		chunk_clear(&frame);
		return;
	}
	if (!this->connection->send(this->connection, frame, limited))
	{	/* closing it is up to the thread, but it is of no use any more */
		this->broken = "it reads too slowly or is gone";
		this->state = STATE_DOWN;
		wake(this);
	}
	else if (this->connection->is_writing(this->connection))
	{
		wake(this);
	}
}

METHOD(kernel_lagopus_feed_t, next_seq, uint64_t,
	private_kernel_lagopus_feed_t *this)
{
	return ++this->seq;
}

METHOD(kernel_lagopus_feed_t, is_ready, bool,
	private_kernel_lagopus_feed_t *this)
{
	return this->state == STATE_READY && !this->suspended;
}

METHOD(kernel_lagopus_feed_t, send_, void,
	private_kernel_lagopus_feed_t *this, chunk_t frame)
{
	if (this->state < STATE_SYNCED)
	{
		chunk_clear(&frame);
		return;
	}
	transmit(this, frame, TRUE);
}

/**
 * Ask the agent for a sign of life, mutex held
 */
static void send_probe(private_kernel_lagopus_feed_t *this)
{
	this->probe_time = 0;
	this->probe = next_seq(this);
	send_(this, message_plain(MSG_PROBE, this->probe, TRUE));
}

/**
 * How long a request may wait: beyond half of the workers only for as long as
 * it takes a healthy agent to get through a burst
 */
static uint32_t get_timeout(private_kernel_lagopus_feed_t *this)
{
	u_int limit;

	limit = lib->processor->get_total_threads(lib->processor) / 2;
	if (this->requests->get_count(this->requests) < max(limit, 1))
	{
		return this->deadline;
	}
	return min(this->deadline, this->burst_wait);
}

/**
 * Fail a request nobody was asked for
 */
static call_t fail_call(feed_request_t *request, const char *reason)
{
	snprintf(request->reason, sizeof(request->reason), "%s", reason);
	return CALL_NO_AGENT;
}

METHOD(kernel_lagopus_feed_t, call, call_t,
	private_kernel_lagopus_feed_t *this, feed_request_t *request,
	chunk_t frame)
{
	timeval_t until, wait;
	uint32_t timeout = get_timeout(this);

	if (!is_ready(this) || !timeout)
	{
		chunk_clear(&frame);
		return fail_call(request, this->suspended ?
							"the agent does not answer" : !timeout ?
							"too many requests wait for the agent" :
							"no agent is ready");
	}
	request->condvar = condvar_create(CONDVAR_TYPE_DEFAULT);
	this->requests->insert_last(this->requests, request);
	transmit(this, frame, TRUE);

	time_monotonic(&until);
	wait.tv_sec = timeout / 1000;
	wait.tv_usec = timeout % 1000 * 1000;
	timeradd(&until, &wait, &until);
	while (!request->done)
	{
		if (request->condvar->timed_wait_abs(request->condvar, this->mutex,
											 until))
		{
			break;
		}
	}
	this->requests->remove(this->requests, request, NULL);
	request->condvar->destroy(request->condvar);
	if (request->done)
	{
		return request->outcome;
	}
	snprintf(request->reason, sizeof(request->reason), "no answer within "
			 "%u ms", timeout);
	if (timeout == this->deadline && !this->suspended)
	{
		this->suspended = TRUE;
		send_probe(this);
	}
	return CALL_UNKNOWN;
}

/**
 * Complete all requests, they won't be answered any more; mutex held
 */
static void fail_requests(private_kernel_lagopus_feed_t *this)
{
	enumerator_t *enumerator;
	feed_request_t *request;

	enumerator = this->requests->create_enumerator(this->requests);
	while (enumerator->enumerate(enumerator, &request))
	{
		if (!request->done)
		{
			request->done = TRUE;
			request->outcome = fail_call(request, "the agent is gone");
			request->condvar->signal(request->condvar);
		}
	}
	enumerator->destroy(enumerator);
}

/**
 * Close the connection
 *
 * @param code		code of an ERROR to send before, or CODE_OK
 */
static void disconnect(private_kernel_lagopus_feed_t *this, feed_code_t code,
					   const char *reason)
{
	DBG1(DBG_KNL, "closing connection to agent: %s", reason);

	this->mutex->lock(this->mutex);
	if (code != CODE_OK)
	{
		transmit(this, message_error(code, reason), FALSE);
	}
	this->connection->destroy(this->connection);
	this->connection = NULL;
	this->broken = NULL;
	this->state = STATE_DOWN;
	this->suspended = FALSE;
	this->probe = 0;
	this->probe_time = this->hello_timeout = 0;
	fail_requests(this);
	this->mutex->unlock(this->mutex);
}

/**
 * Send the tables
 */
static void send_snapshot(private_kernel_lagopus_feed_t *this)
{
	linked_list_t *frames = linked_list_create();
	chunk_t *frame;
	uint32_t count;

	this->mutex->lock(this->mutex);
	this->handler->snapshot(this->handler, frames);
	count = frames->get_count(frames);
	transmit(this, message_snapshot_begin(this->seq), FALSE);
	while (frames->remove_first(frames, (void**)&frame) == SUCCESS)
	{
		transmit(this, *frame, FALSE);
		free(frame);
	}
	transmit(this, message_snapshot_end(this->seq, count), FALSE);
	if (!this->broken)
	{
		this->state = STATE_SYNCED;
		this->hello_timeout = 0;
	}
	this->mutex->unlock(this->mutex);
	frames->destroy(frames);

	DBG1(DBG_KNL, "sent agent a snapshot of %u SAs and policies", count);
}

/**
 * Handle AGENT_HELLO
 *
 * @return			FALSE if the connection is closed
 */
static bool process_hello(private_kernel_lagopus_feed_t *this,
						  feed_message_t *message)
{
	char server[128], reason[64];
	uint16_t version = message_get_uint(message, TAG_VERSION);

	message_get_text(message, TAG_SERVER, server, sizeof(server));
	if (version != FEED_VERSION)
	{
		snprintf(reason, sizeof(reason), "version %u is not supported, "
				 "%u is", version, FEED_VERSION);
		disconnect(this, CODE_VERSION, reason);
		return FALSE;
	}
	DBG1(DBG_KNL, "agent '%s' connected", server);
	send_snapshot(this);
	return TRUE;
}

/**
 * Handle READY
 *
 * @return			FALSE if the connection is closed
 */
static bool process_ready(private_kernel_lagopus_feed_t *this,
						  feed_message_t *message)
{
	char interface[IFNAMSIZ] = "";
	uint64_t latency_ms;
	bool changed;

	if (message->values[TAG_ROUTE_INTERFACE].len >= sizeof(interface))
	{
		disconnect(this, CODE_MALFORMED, "interface name too long");
		return FALSE;
	}
	message_get_text(message, TAG_ROUTE_INTERFACE, interface,
					 sizeof(interface));
	latency_ms = message_get_uint(message, TAG_ACK_LATENCY_US) / 1000;

	this->mutex->lock(this->mutex);
	changed = this->state == STATE_SYNCED;
	if (!this->broken)
	{
		this->state = STATE_READY;
	}
	this->deadline = min(max(this->configured_deadline, 3 * latency_ms),
						 MAX_DEADLINE);
	this->mutex->unlock(this->mutex);

	if (changed)
	{
		DBG1(DBG_KNL, "agent is ready%s%s", interface[0] ? ", routes go to " :
			 ", it needs no routes", interface);
	}
	this->handler->ready(this->handler, interface[0] ? interface : NULL);
	return TRUE;
}

/**
 * Handle NOT_READY
 */
static void process_not_ready(private_kernel_lagopus_feed_t *this,
							  feed_message_t *message)
{
	char reason[256];

	message_get_text(message, TAG_REASON, reason, sizeof(reason));
	this->mutex->lock(this->mutex);
	if (!this->broken)
	{
		this->state = STATE_SYNCED;
	}
	this->mutex->unlock(this->mutex);
	DBG1(DBG_KNL, "agent is not ready: %s", reason);
}

/**
 * Handle the answer to a probe, mutex held
 */
static void process_probe(private_kernel_lagopus_feed_t *this, feed_code_t code)
{
	this->probe = 0;
	if (code == CODE_OK)
	{
		this->suspended = FALSE;
	}
	else
	{
		this->probe_time = time_monotonic(NULL) + PROBE_INTERVAL;
	}
}

/**
 * Hand the answer to the worker that waits for it, mutex held
 */
static void process_answer(private_kernel_lagopus_feed_t *this,
						   feed_request_t *request, feed_message_t *message)
{
	request->done = TRUE;
	request->spi = message_get_spi(message, TAG_SPI);
	if (message_get_uint(message, TAG_CODE) == CODE_OK)
	{
		request->outcome = CALL_OK;
		if (request->commit)
		{
			request->commit(request->data);
		}
	}
	else
	{
		request->outcome = CALL_REFUSED;
		message_get_text(message, TAG_REASON, request->reason,
						 sizeof(request->reason));
	}
	request->condvar->signal(request->condvar);
}

/**
 * Handle RESULT
 *
 * @return			FALSE if the connection is closed
 */
static bool process_result(private_kernel_lagopus_feed_t *this,
						   feed_message_t *message)
{
	enumerator_t *enumerator;
	feed_request_t *request;
	uint64_t seq = message_get_uint(message, TAG_SEQ);
	bool valid, recovered = FALSE;

	this->mutex->lock(this->mutex);
	valid = seq && seq <= this->seq;
	if (seq && seq == this->probe)
	{
		process_probe(this, message_get_uint(message, TAG_CODE));
		recovered = !this->suspended;
	}
	enumerator = this->requests->create_enumerator(this->requests);
	while (enumerator->enumerate(enumerator, &request))
	{
		if (request->seq == seq && !request->done)
		{
			process_answer(this, request, message);
			break;
		}
	}
	enumerator->destroy(enumerator);
	this->mutex->unlock(this->mutex);

	if (recovered)
	{
		DBG1(DBG_KNL, "agent answers again");
	}
	if (!valid)
	{
		disconnect(this, CODE_MALFORMED, "RESULT for a request never sent");
	}
	return valid;
}

/**
 * Handle a message
 *
 * @return			FALSE if the connection is closed
 */
static bool process(private_kernel_lagopus_feed_t *this, feed_message_t *message)
{
	/* only this thread leaves these states, but for workers that find the
	 * connection broken: what the agent still says is ignored then */
	if (this->broken)
	{
		return TRUE;
	}
	if ((message->type == MSG_AGENT_HELLO) != (this->state == STATE_HELLO))
	{
		disconnect(this, CODE_MALFORMED, "AGENT_HELLO has to come first, "
				   "and only once");
		return FALSE;
	}
	switch (message->type)
	{
		case MSG_AGENT_HELLO:
			return process_hello(this, message);
		case MSG_READY:
			return process_ready(this, message);
		case MSG_NOT_READY:
			process_not_ready(this, message);
			return TRUE;
		case MSG_RESULT:
			return process_result(this, message);
		default:
			this->handler->message(this->handler, message);
			return TRUE;
	}
}

/**
 * Read and handle what the agent sent
 */
static void read_agent(private_kernel_lagopus_feed_t *this)
{
	reader_error_t error;
	feed_message_t message;
	char reason[128];
	bool connected;

	connected = this->connection->receive(this->connection);
	while (TRUE)
	{
		switch (this->connection->next(this->connection, &message, &error))
		{
			case RECEIVED_MESSAGE:
				if (!process(this, &message))
				{
					return;
				}
				continue;
			case RECEIVED_MALFORMED:
				snprintf(reason, sizeof(reason), "malformed frame, %s at "
						 "offset %zu", error.what, error.offset);
				disconnect(this, CODE_MALFORMED, reason);
				return;
			case RECEIVED_NOTHING:
				break;
		}
		break;
	}
	if (!connected)
	{
		disconnect(this, CODE_OK, "closed by agent");
	}
}

/**
 * Tell a peer why it is not served
 */
static void reject(int fd, feed_code_t code, const char *reason)
{
	chunk_t frame = message_error(code, reason);

	DBG1(DBG_KNL, "rejecting agent: %s", reason);
	if (send(fd, frame.ptr, frame.len, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
	{
		DBG2(DBG_KNL, "telling it failed: %s", strerror(errno));
	}
	chunk_clear(&frame);
	close(fd);
}

/**
 * Accept an agent
 */
static void accept_agent(private_kernel_lagopus_feed_t *this)
{
	uid_t uid;
	int fd;

	fd = listening_socket_accept(&this->socket, &uid);
	if (fd == -1)
	{
		return;
	}
	if (uid != 0 && uid != geteuid())
	{
		reject(fd, CODE_REFUSED, "user is not permitted");
		return;
	}
	if (this->connection)
	{
		reject(fd, CODE_BUSY, "another agent is connected");
		return;
	}
	this->mutex->lock(this->mutex);
	this->connection = connection_create(fd, this->queue_limit);
	this->state = STATE_HELLO;
	this->deadline = this->configured_deadline;
	this->hello_timeout = time_monotonic(NULL) + HELLO_TIMEOUT;
	transmit(this, message_hello(chunk_from_thing(this->instance),
								 this->configured_deadline), FALSE);
	this->mutex->unlock(this->mutex);
}

/**
 * Do what is due by time
 */
static void run_timers(private_kernel_lagopus_feed_t *this)
{
	time_t now = time_monotonic(NULL);

	if (this->connection && this->hello_timeout && this->hello_timeout <= now)
	{
		disconnect(this, CODE_MALFORMED, "no AGENT_HELLO in time");
	}
	this->mutex->lock(this->mutex);
	if (this->probe_time && this->probe_time <= now)
	{
		send_probe(this);
	}
	this->mutex->unlock(this->mutex);
}

/**
 * Listen, and if that fails try again: no agent can connect meanwhile, which
 * is safe, while handing over to another kernel backend would not be
 */
static void try_listen(private_kernel_lagopus_feed_t *this, time_t *retry)
{
	const char *error;
	time_t now = time_monotonic(NULL);

	if (this->socket.fd == -1 && *retry <= now)
	{
		if (listening_socket_open(&this->socket, &error))
		{
			DBG1(DBG_KNL, "waiting for agent at %s", this->socket.path);
		}
		else if (!*retry)
		{
			DBG1(DBG_KNL, "listening at %s failed: %s, will try again",
				 this->socket.path, error);
		}
		*retry = now + LISTEN_INTERVAL;
	}
}

/**
 * Wait for something to happen
 *
 * @param[out] agent	TRUE if there is something to read
 * @param[out] peer		TRUE if there is a connection to accept
 */
static void wait_for_events(private_kernel_lagopus_feed_t *this, bool *agent,
							bool *peer)
{
	struct pollfd fds[] = {
		{ .fd = this->event, .events = POLLIN },
		{ .fd = this->socket.fd, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};
	uint64_t count;
	bool timer;

	this->mutex->lock(this->mutex);
	if (this->connection)
	{
		fds[2].fd = this->connection->get_fd(this->connection);
		if (this->connection->is_writing(this->connection))
		{
			fds[2].events |= POLLOUT;
		}
	}
	timer = this->probe_time || this->hello_timeout || this->socket.fd == -1;
	this->mutex->unlock(this->mutex);

	*agent = *peer = FALSE;
	if (poll(fds, countof(fds), timer ? 1000 : -1) <= 0)
	{
		return;
	}
	if (fds[0].revents & POLLIN &&
		read(this->event, &count, sizeof(count)) == -1)
	{
		DBG2(DBG_KNL, "reading event failed: %s", strerror(errno));
	}
	*agent = (fds[2].revents & ~POLLOUT) != 0;
	*peer = fds[1].revents != 0;
	if (fds[2].revents & POLLOUT)
	{
		this->mutex->lock(this->mutex);
		if (!this->broken && !this->connection->flush(this->connection))
		{
			this->broken = "it is gone";
		}
		this->mutex->unlock(this->mutex);
	}
}

/**
 * The thread
 */
static void *run(private_kernel_lagopus_feed_t *this)
{
	time_t retry = 0;
	bool agent, peer;

	while (TRUE)
	{
		try_listen(this, &retry);
		wait_for_events(this, &agent, &peer);
		if (this->stopped)
		{
			return NULL;
		}
		if (agent)
		{
			read_agent(this);
		}
		if (this->connection && this->broken)
		{
			disconnect(this, CODE_OK, this->broken);
		}
		if (peer)
		{
			accept_agent(this);
		}
		run_timers(this);
	}
}

METHOD(kernel_lagopus_feed_t, destroy, void,
	private_kernel_lagopus_feed_t *this)
{
	if (this->thread)
	{
		this->stopped = TRUE;
		wake(this);
		this->thread->join(this->thread);
	}
	if (this->connection)
	{
		disconnect(this, CODE_OK, "charon terminates");
	}
	listening_socket_close(&this->socket);
	if (this->event != -1)
	{
		close(this->event);
	}
	this->requests->destroy(this->requests);
	free(this->socket.path);
	free(this);
}

/**
 * Start the thread, charon's signals are not for it
 */
static thread_t *start_thread(private_kernel_lagopus_feed_t *this)
{
	sigset_t all, old;
	thread_t *thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	thread = thread_create((thread_main_t)run, this);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return thread;
}

/**
 * Get the path to listen at; as with other plugins it may be given as a URI
 */
static char *get_path()
{
	char *path;

	path = lib->settings->get_str(lib->settings,
						"%s.plugins.kernel-lagopus.socket", DEFAULT_SOCKET,
						lib->ns);
	return strdup(strpfx(path, "unix://") ? path + strlen("unix://") : path);
}

/**
 * Get a number from strongswan.conf
 */
static u_int get_option(const char *name, u_int def)
{
	return lib->settings->get_int(lib->settings,
						"%s.plugins.kernel-lagopus.%s", def, lib->ns, name);
}

/*
 * Described in header.
 */
kernel_lagopus_feed_t *kernel_lagopus_feed_create(mutex_t *mutex,
												  feed_handler_t *handler)
{
	private_kernel_lagopus_feed_t *this;

	INIT(this,
		.public = {
			.next_seq = _next_seq,
			.is_ready = _is_ready,
			.send = _send_,
			.call = _call,
			.destroy = _destroy,
		},
		.mutex = mutex,
		.handler = handler,
		.socket = {
			.fd = -1,
			.path = get_path(),
		},
		.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.requests = linked_list_create(),
		.configured_deadline = min(max(1, get_option("deadline",
										DEFAULT_DEADLINE)), MAX_DEADLINE),
		.burst_wait = get_option("burst_wait", DEFAULT_BURST_WAIT),
		.queue_limit = get_option("queue_limit", DEFAULT_QUEUE_LIMIT),
	);

	if (this->event == -1 ||
		getrandom(this->instance, INSTANCE_LEN, 0) != INSTANCE_LEN)
	{
		DBG1(DBG_KNL, "starting key feed failed: %s", strerror(errno));
		destroy(this);
		return NULL;
	}
	this->deadline = this->configured_deadline;
	this->thread = start_thread(this);
	if (!this->thread)
	{
		destroy(this);
		return NULL;
	}
	return &this->public;
}
