/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_connection.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <collections/linked_list.h>

/** Room for received bytes at first, and after a large frame */
#define RECEIVE_SIZE (64 * 1024)

typedef struct private_connection_t private_connection_t;
typedef struct queued_t queued_t;

/**
 * A frame, or the rest of one, that waits to be sent
 */
struct queued_t {
	/** whole frame */
	chunk_t frame;
	/** bytes of it already sent */
	size_t sent;
	/** whether it counts for the limit */
	bool limited;
};

/**
 * Private data
 */
struct private_connection_t {

	/**
	 * Public interface
	 */
	connection_t public;

	/**
	 * Socket
	 */
	int fd;

	/**
	 * Frames to send (queued_t*)
	 */
	linked_list_t *queue;

	/**
	 * Bytes of them that count for the limit, and that limit
	 */
	size_t queued;
	size_t queue_limit;

	/**
	 * Received bytes: those before start are consumed, those up to end are
	 * not
	 */
	chunk_t buf;
	size_t start;
	size_t end;
};

/**
 * Destroy a queued frame
 */
static void queued_destroy(queued_t *this)
{
	chunk_clear(&this->frame);
	free(this);
}

METHOD(connection_t, get_fd, int,
	private_connection_t *this)
{
	return this->fd;
}

/**
 * Write as much of a frame as the socket takes
 *
 * @return			FALSE if the socket is unusable
 */
static bool write_frame(private_connection_t *this, chunk_t frame, size_t *sent)
{
	ssize_t len;

	while (*sent < frame.len)
	{
		len = send(this->fd, frame.ptr + *sent, frame.len - *sent,
				   MSG_DONTWAIT | MSG_NOSIGNAL);
		if (len < 0)
		{
			if (errno == EINTR)
			{
				continue;
			}
			return errno == EAGAIN || errno == EWOULDBLOCK;
		}
		*sent += len;
	}
	return TRUE;
}

METHOD(connection_t, send_, bool,
	private_connection_t *this, chunk_t frame, bool limited)
{
	queued_t *item;
	size_t sent = 0;
	bool usable = TRUE;

	if (!this->queue->get_count(this->queue))
	{
		usable = write_frame(this, frame, &sent);
	}
	if (!usable || sent == frame.len ||
		(limited && this->queued + frame.len > this->queue_limit))
	{
		usable = usable && sent == frame.len;
		chunk_clear(&frame);
		return usable;
	}
	INIT(item,
		.frame = frame,
		.sent = sent,
		.limited = limited,
	);
	this->queue->insert_last(this->queue, item);
	if (limited)
	{
		this->queued += frame.len;
	}
	return TRUE;
}

METHOD(connection_t, flush, bool,
	private_connection_t *this)
{
	queued_t *item;

	while (this->queue->get_first(this->queue, (void**)&item) == SUCCESS)
	{
		if (!write_frame(this, item->frame, &item->sent))
		{
			return FALSE;
		}
		if (item->sent < item->frame.len)
		{
			break;
		}
		this->queue->remove_first(this->queue, (void**)&item);
		if (item->limited)
		{
			this->queued -= item->frame.len;
		}
		queued_destroy(item);
	}
	return TRUE;
}

METHOD(connection_t, is_writing, bool,
	private_connection_t *this)
{
	return this->queue->get_count(this->queue) > 0;
}

/**
 * Make room for more bytes: a frame has to fit, and no more than that
 */
static void make_room(private_connection_t *this)
{
	chunk_t larger;

	if (this->start)
	{
		memmove(this->buf.ptr, this->buf.ptr + this->start,
				this->end - this->start);
		this->end -= this->start;
		this->start = 0;
	}
	if (this->end == this->buf.len)
	{
		larger = chunk_alloc(min(this->buf.len * 2, FEED_MAX_LENGTH + 4));
		memcpy(larger.ptr, this->buf.ptr, this->end);
		chunk_clear(&this->buf);
		this->buf = larger;
	}
}

METHOD(connection_t, receive, bool,
	private_connection_t *this)
{
	ssize_t len;

	make_room(this);
	len = recv(this->fd, this->buf.ptr + this->end, this->buf.len - this->end,
			   MSG_DONTWAIT);
	if (len > 0)
	{
		this->end += len;
		return TRUE;
	}
	return len < 0 &&
		   (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

METHOD(connection_t, next, received_t,
	private_connection_t *this, feed_message_t *message, reader_error_t *error)
{
	chunk_t frame;

	if (!reader_frame(chunk_create(this->buf.ptr + this->start,
								   this->end - this->start), &frame, error))
	{
		return RECEIVED_MALFORMED;
	}
	if (!frame.len)
	{
		return RECEIVED_NOTHING;
	}
	this->start += frame.len;
	return reader_parse(frame, message, error) ? RECEIVED_MESSAGE
											   : RECEIVED_MALFORMED;
}

METHOD(connection_t, destroy, void,
	private_connection_t *this)
{
	close(this->fd);
	this->queue->destroy_function(this->queue, (void*)queued_destroy);
	chunk_clear(&this->buf);
	free(this);
}

/*
 * Described in header.
 */
connection_t *connection_create(int fd, size_t queue_limit)
{
	private_connection_t *this;

	INIT(this,
		.public = {
			.get_fd = _get_fd,
			.send = _send_,
			.flush = _flush,
			.is_writing = _is_writing,
			.receive = _receive,
			.next = _next,
			.destroy = _destroy,
		},
		.fd = fd,
		.queue = linked_list_create(),
		.queue_limit = queue_limit,
		.buf = chunk_alloc(RECEIVE_SIZE),
	);
	return &this->public;
}
