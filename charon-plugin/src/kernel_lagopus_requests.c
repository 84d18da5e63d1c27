/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_requests.h"

#include <collections/linked_list.h>

typedef struct private_requests_t private_requests_t;

/**
 * Private data
 */
struct private_requests_t {

	/**
	 * Public interface
	 */
	requests_t public;

	/**
	 * The backend's mutex
	 */
	mutex_t *mutex;

	/**
	 * Requests (feed_request_t*); a few, as workers are
	 */
	linked_list_t *list;

	/**
	 * When the agent last answered any of them (monotonic)
	 */
	timeval_t progress;
};

/*
 * Described in header.
 */
call_t request_fail(feed_request_t *request, const char *reason)
{
	snprintf(request->reason, sizeof(request->reason), "%s", reason);
	return CALL_NO_AGENT;
}

/**
 * Add milliseconds to a time
 */
static timeval_t add_ms(timeval_t start, uint32_t ms)
{
	timeval_t end, wait = {
		.tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000,
	};

	timeradd(&start, &wait, &end);
	return end;
}

METHOD(requests_t, wait_, call_t,
	private_requests_t *this, feed_request_t *request, uint32_t deadline,
	uint32_t stall)
{
	timeval_t start, now, until, end;

	time_monotonic(&start);
	now = start;
	end = add_ms(start, deadline);

	request->condvar = condvar_create(CONDVAR_TYPE_DEFAULT);
	this->list->insert_last(this->list, request);
	while (!request->done)
	{
		until = add_ms(timercmp(&start, &this->progress, >) ? start
													: this->progress, stall);
		if (timercmp(&until, &end, >))
		{
			until = end;
		}
		if (!timercmp(&now, &until, <))
		{
			break;
		}
		request->condvar->timed_wait_abs(request->condvar, this->mutex, until);
		time_monotonic(&now);
	}
	this->list->remove(this->list, request, NULL);
	request->condvar->destroy(request->condvar);
	if (request->done)
	{
		return request->outcome;
	}
	request->missed = !timercmp(&now, &end, <);
	snprintf(request->reason, sizeof(request->reason), "no answer within %u ms",
			 request->missed ? deadline : stall);
	return CALL_UNKNOWN;
}

/**
 * Wake the worker that waits for a request
 */
static void complete(feed_request_t *request, call_t outcome)
{
	request->done = TRUE;
	request->outcome = outcome;
	request->condvar->signal(request->condvar);
}

METHOD(requests_t, answer, void,
	private_requests_t *this, feed_message_t *result)
{
	enumerator_t *enumerator;
	feed_request_t *request;
	uint64_t seq = message_get_uint(result, TAG_SEQ);
	uint16_t code = message_get_uint(result, TAG_CODE);
	bool ok = code == CODE_OK;

	time_monotonic(&this->progress);
	enumerator = this->list->create_enumerator(this->list);
	while (enumerator->enumerate(enumerator, &request))
	{
		if (request->seq == seq && !request->done)
		{
			request->spi = ok ? message_get_spi(result, TAG_SPI) : 0;
			request->permanent = code == CODE_REFUSED;
			message_get_text(result, TAG_REASON, request->reason,
							 sizeof(request->reason));
			if (ok && request->commit)
			{
				request->commit(request->data);
			}
			complete(request, ok ? CALL_OK : CALL_REFUSED);
			break;
		}
	}
	enumerator->destroy(enumerator);
}

METHOD(requests_t, abandon, void,
	private_requests_t *this)
{
	enumerator_t *enumerator;
	feed_request_t *request;

	enumerator = this->list->create_enumerator(this->list);
	while (enumerator->enumerate(enumerator, &request))
	{
		if (!request->done)
		{
			complete(request, request_fail(request, "the agent is gone"));
		}
	}
	enumerator->destroy(enumerator);
}

METHOD(requests_t, get_count, u_int,
	private_requests_t *this)
{
	return this->list->get_count(this->list);
}

METHOD(requests_t, destroy, void,
	private_requests_t *this)
{
	this->list->destroy(this->list);
	free(this);
}

/*
 * Described in header.
 */
requests_t *requests_create(mutex_t *mutex)
{
	private_requests_t *this;

	INIT(this,
		.public = {
			.wait = _wait_,
			.answer = _answer,
			.abandon = _abandon,
			.get_count = _get_count,
			.destroy = _destroy,
		},
		.mutex = mutex,
		.list = linked_list_create(),
	);
	return &this->public;
}
