/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_feed.h"
#include "kernel_lagopus_connection.h"
#include "kernel_lagopus_messages.h"
#include "kernel_lagopus_patience.h"
#include "kernel_lagopus_server.h"

#include <daemon.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/charon.lagopus"

/** Bytes that may wait to be sent */
#define DEFAULT_QUEUE_LIMIT (4 * 1024 * 1024)

/** How long an agent has for its AGENT_HELLO, in s */
#define HELLO_TIMEOUT 5

/** Length of the instance id */
#define INSTANCE_LEN 16

typedef struct private_kernel_lagopus_feed_t private_kernel_lagopus_feed_t;

/**
 * State of the connection
 */
typedef enum {
	/** there is none, or none that is of use */
	STATE_DOWN,
	/** it is the agent's turn to say hello */
	STATE_HELLO,
	/** the agent knows the tables */
	STATE_SYNCED,
	/** requests can be answered */
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
	 * Where the server finds us
	 */
	server_handler_t server_handler;

	/**
	 * Mutex of the tables, guards this object as well
	 */
	mutex_t *mutex;

	/**
	 * Where upcalls go
	 */
	feed_handler_t *handler;

	/**
	 * Thread for the socket
	 */
	server_t *server;

	/**
	 * TRUE if the socket's group may connect, not only its owner
	 */
	bool group_access;

	/**
	 * Identity of this charon
	 */
	u_char instance[INSTANCE_LEN];

	/**
	 * When it started (monotonic)
	 */
	timeval_t started;

	/**
	 * Number of the latest message
	 */
	uint64_t seq;

	/**
	 * Connection to the agent, NULL if there is none; only the server's
	 * thread creates and destroys it
	 */
	connection_t *connection;

	/**
	 * State of that connection
	 */
	state_t state;

	/**
	 * TRUE if the agent asked to be told of failed setups
	 */
	bool wants_failures;

	/**
	 * Why it has to be closed, NULL if it has not
	 */
	const char *broken;

	/**
	 * When to give up waiting for AGENT_HELLO (monotonic, in s), 0 if never
	 */
	time_t hello_timeout;

	/**
	 * How long requests wait
	 */
	patience_t patience;

	/**
	 * Requests that are waited for
	 */
	requests_t *requests;

	/**
	 * Limit of the connection's queue
	 */
	size_t queue_limit;
};

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
	{	/* closing it is up to the server's thread */
		this->broken = "it is gone, or reads too slowly";
		this->state = STATE_DOWN;
		this->server->wake(this->server);
	}
	else if (this->connection->is_writing(this->connection))
	{
		this->server->wake(this->server);
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
	return this->state == STATE_READY && !this->patience.suspended;
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

METHOD(kernel_lagopus_feed_t, report, void,
	private_kernel_lagopus_feed_t *this, chunk_t frame)
{
	if (!this->wants_failures)
	{
		chunk_clear(&frame);
		return;
	}
	send_(this, frame);
}

/**
 * Ask the agent for a sign of life, mutex held
 */
static void send_probe(private_kernel_lagopus_feed_t *this)
{
	uint64_t seq = next_seq(this);

	patience_probe_sent(&this->patience, seq);
	send_(this, message_plain(MSG_PROBE, seq, TRUE));
}

METHOD(kernel_lagopus_feed_t, call, call_t,
	private_kernel_lagopus_feed_t *this, feed_request_t *request,
	chunk_t frame)
{
	const char *reason = NULL;
	call_t outcome;
	uint32_t stall;

	stall = patience_get_stall(&this->patience,
							   this->requests->get_count(this->requests));

	if (this->state != STATE_READY)
	{
		reason = "no agent is ready";
	}
	else if (this->patience.suspended)
	{
		reason = "the agent does not answer";
	}
	else if (!stall)
	{
		reason = "too many requests wait for the agent";
	}
	if (reason)
	{
		chunk_clear(&frame);
		return request_fail(request, reason);
	}
	transmit(this, frame, TRUE);
	if (this->broken)
	{
		return request_fail(request, this->broken);
	}
	outcome = this->requests->wait(this->requests, request,
								   this->patience.deadline, stall);
	if (request->missed && patience_miss(&this->patience))
	{
		send_probe(this);
	}
	return outcome;
}

/**
 * Close the connection
 *
 * @param code		code of an ERROR to send before, CODE_OK for none
 * @param reason	why
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
	this->hello_timeout = 0;
	patience_reset(&this->patience);
	this->requests->abandon(this->requests);
	this->mutex->unlock(this->mutex);
}

/**
 * Enter a state, mutex held; a connection that has to be closed stays DOWN
 *
 * @return			TRUE if the state changed
 */
static bool enter(private_kernel_lagopus_feed_t *this, state_t state)
{
	if (this->broken || this->state == state)
	{
		return FALSE;
	}
	this->state = state;
	return TRUE;
}

/**
 * Send frames, whatever their size, and empty the list
 */
static void transmit_all(private_kernel_lagopus_feed_t *this,
						 linked_list_t *frames)
{
	chunk_t *frame;

	while (frames->remove_first(frames, (void**)&frame) == SUCCESS)
	{
		transmit(this, *frame, FALSE);
		free(frame);
	}
}

/**
 * Send the tables
 */
static void send_snapshot(private_kernel_lagopus_feed_t *this)
{
	linked_list_t *frames = linked_list_create();
	uint32_t count;

	this->mutex->lock(this->mutex);
	this->handler->snapshot(this->handler, frames);
	count = frames->get_count(frames);
	transmit(this, message_snapshot_begin(this->seq), FALSE);
	transmit_all(this, frames);
	transmit(this, message_snapshot_end(this->seq, count), FALSE);
	if (this->wants_failures)
	{
		this->handler->failures(this->handler, frames);
		transmit_all(this, frames);
	}
	this->hello_timeout = 0;
	enter(this, STATE_SYNCED);
	this->mutex->unlock(this->mutex);
	frames->destroy(frames);

	DBG1(DBG_KNL, "sent agent a snapshot of %u SAs and policies", count);
}

/**
 * Handle AGENT_HELLO
 *
 * @return			FALSE if the connection was closed
 */
static bool process_hello(private_kernel_lagopus_feed_t *this,
						  feed_message_t *message)
{
	char server[128], reason[64];
	uint16_t version = message_get_uint(message, TAG_VERSION);

	message_get_text(message, TAG_SERVER, server, sizeof(server));
	if (version != FEED_VERSION)
	{
		snprintf(reason, sizeof(reason), "version %u is not supported, %u is",
				 version, FEED_VERSION);
		disconnect(this, CODE_VERSION, reason);
		return FALSE;
	}
	DBG1(DBG_KNL, "agent '%s' connected", server);
	this->mutex->lock(this->mutex);
	this->wants_failures = message->values[TAG_WANTS_FAILURES].ptr != NULL;
	this->mutex->unlock(this->mutex);
	send_snapshot(this);
	return TRUE;
}

/**
 * Handle READY
 *
 * @return			FALSE if the connection was closed
 */
static bool process_ready(private_kernel_lagopus_feed_t *this,
						  feed_message_t *message)
{
	char interface[IFNAMSIZ];
	bool changed;

	if (message->values[TAG_ROUTE_INTERFACE].len >= sizeof(interface))
	{
		disconnect(this, CODE_MALFORMED, "interface name too long");
		return FALSE;
	}
	message_get_text(message, TAG_ROUTE_INTERFACE, interface,
					 sizeof(interface));

	this->mutex->lock(this->mutex);
	changed = enter(this, STATE_READY);
	patience_set_latency(&this->patience,
						 message_get_uint(message, TAG_ACK_LATENCY_US));
	this->mutex->unlock(this->mutex);

	if (changed)
	{
		DBG1(DBG_KNL, "agent is ready%s%s", interface[0] ? ", routes go to "
			 : ", it needs no routes", interface);
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
	enter(this, STATE_SYNCED);
	this->mutex->unlock(this->mutex);
	DBG1(DBG_KNL, "agent is not ready: %s", reason);
}

/**
 * Handle RESULT
 *
 * @return			FALSE if the connection was closed
 */
static bool process_result(private_kernel_lagopus_feed_t *this,
						   feed_message_t *message)
{
	uint64_t seq = message_get_uint(message, TAG_SEQ);
	bool valid, recovered = FALSE;

	this->mutex->lock(this->mutex);
	valid = seq && seq <= this->seq;
	if (valid && seq == this->patience.probe)
	{
		recovered = message_get_uint(message, TAG_CODE) == CODE_OK;
		patience_probe_answered(&this->patience, recovered);
	}
	else
	{
		this->requests->answer(this->requests, message);
	}
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
 * @return			FALSE if the connection was closed
 */
static bool process(private_kernel_lagopus_feed_t *this,
					feed_message_t *message)
{
	bool broken, expects_hello;

	this->mutex->lock(this->mutex);
	broken = this->broken != NULL;
	expects_hello = this->state == STATE_HELLO;
	this->mutex->unlock(this->mutex);

	if (broken)
	{	/* what it says does not matter any more */
		return TRUE;
	}
	if ((message->type == MSG_AGENT_HELLO) != expects_hello)
	{
		disconnect(this, CODE_MALFORMED, "AGENT_HELLO has to come first, and "
				   "only once");
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
	feed_message_t message;
	reader_error_t error;
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
				break;
			case RECEIVED_MALFORMED:
				snprintf(reason, sizeof(reason), "malformed frame, %s at "
						 "offset %zu", error.what, error.offset);
				disconnect(this, CODE_MALFORMED, reason);
				return;
			case RECEIVED_NOTHING:
				if (!connected)
				{
					disconnect(this, CODE_OK, "closed by agent");
				}
				return;
		}
	}
}

/**
 * Write what is queued, and do what is due by time
 *
 * @param events	poll() events of the connection
 * @return			why the connection has to be closed, NULL if it has not
 */
static const char *run_timers(private_kernel_lagopus_feed_t *this, short events)
{
	time_t now = time_monotonic(NULL);
	const char *reason;

	this->mutex->lock(this->mutex);
	if (events & POLLOUT && !this->broken &&
		!this->connection->flush(this->connection))
	{
		this->broken = "it is gone";
	}
	if (this->hello_timeout && this->hello_timeout <= now)
	{
		this->broken = "no AGENT_HELLO in time";
	}
	if (this->patience.probe_time && this->patience.probe_time <= now)
	{
		send_probe(this);
	}
	reason = this->broken;
	this->mutex->unlock(this->mutex);
	return reason;
}

/**
 * Get the feed a server belongs to
 */
static private_kernel_lagopus_feed_t *get_feed(server_handler_t *handler)
{
	return (private_kernel_lagopus_feed_t*)((char*)handler -
				offsetof(private_kernel_lagopus_feed_t, server_handler));
}

/**
 * Implementation of server_handler_t.get_events
 */
static bool get_events(server_handler_t *handler, int *fd, short *events)
{
	private_kernel_lagopus_feed_t *this = get_feed(handler);
	bool timers;

	this->mutex->lock(this->mutex);
	if (this->connection)
	{
		*fd = this->connection->get_fd(this->connection);
		if (this->connection->is_writing(this->connection))
		{
			*events = POLLOUT;
		}
	}
	timers = this->hello_timeout || this->patience.probe_time;
	this->mutex->unlock(this->mutex);
	return timers;
}

/**
 * Implementation of server_handler_t.handle
 */
static void handle(server_handler_t *handler, short events)
{
	private_kernel_lagopus_feed_t *this = get_feed(handler);
	const char *reason;

	if (events & ~POLLOUT)
	{
		read_agent(this);
	}
	if (this->connection)
	{
		reason = run_timers(this, events);
		if (reason)
		{
			disconnect(this, CODE_OK, reason);
		}
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
 * Implementation of server_handler_t.accept
 */
static void accept_agent(server_handler_t *handler, int fd, uid_t uid)
{
	private_kernel_lagopus_feed_t *this = get_feed(handler);

	/* with group access the file's mode has decided */
	if (!this->group_access && uid != 0 && uid != geteuid())
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
	this->hello_timeout = time_monotonic(NULL) + HELLO_TIMEOUT;
	transmit(this, message_hello(chunk_from_thing(this->instance),
								 this->patience.configured,
								 &this->started), FALSE);
	this->mutex->unlock(this->mutex);
}

METHOD(kernel_lagopus_feed_t, destroy, void,
	private_kernel_lagopus_feed_t *this)
{
	DESTROY_IF(this->server);
	if (this->connection)
	{
		disconnect(this, CODE_OK, "charon terminates");
	}
	this->requests->destroy(this->requests);
	free(this);
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
	return strpfx(path, "unix://") ? path + strlen("unix://") : path;
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
			.report = _report,
			.call = _call,
			.destroy = _destroy,
		},
		.server_handler = {
			.get_events = get_events,
			.handle = handle,
			.accept = accept_agent,
		},
		.mutex = mutex,
		.handler = handler,
		.requests = requests_create(mutex),
		.queue_limit = lib->settings->get_int(lib->settings,
							"%s.plugins.kernel-lagopus.queue_limit",
							DEFAULT_QUEUE_LIMIT, lib->ns),
		.group_access = lib->settings->get_bool(lib->settings,
							"%s.plugins.kernel-lagopus.group_access", FALSE,
							lib->ns),
	);

	time_monotonic(&this->started);
	patience_init(&this->patience);
	if (getrandom(this->instance, INSTANCE_LEN, 0) != INSTANCE_LEN)
	{
		destroy(this);
		return NULL;
	}
	/* its thread uses this object, but not before it knows the server */
	mutex->lock(mutex);
	this->server = server_create(get_path(), this->group_access,
								 &this->server_handler);
	mutex->unlock(mutex);
	if (!this->server)
	{
		DBG1(DBG_KNL, "starting key feed failed: %s", strerror(errno));
		destroy(this);
		return NULL;
	}
	return &this->public;
}
