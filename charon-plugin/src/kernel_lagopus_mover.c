/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_mover.h"
#include "kernel_lagopus_messages.h"

#include <threading/thread_value.h>

typedef struct private_kernel_lagopus_mover_t private_kernel_lagopus_mover_t;
typedef struct half_move_t half_move_t;

/**
 * Private data
 */
struct private_kernel_lagopus_mover_t {

	/**
	 * Public interface
	 */
	kernel_lagopus_mover_t public;

	/**
	 * Mutex of table and feed
	 */
	mutex_t *mutex;

	/**
	 * SAs
	 */
	kernel_lagopus_sad_t *sad;

	/**
	 * Connection to the agent
	 */
	kernel_lagopus_feed_t *feed;

	/**
	 * Inbound SA each thread moved last (half_move_t*): charon moves both of
	 * a CHILD_SA in one thread
	 */
	thread_value_t *half;
};

/**
 * An inbound SA that moved, with where it was before
 */
struct half_move_t {
	/** number of the SA */
	uint64_t seq;
	host_t *src;
	host_t *dst;
	bool encap;
	uint32_t reqid;
};

/**
 * A move the agent is asked for
 */
typedef struct {
	kernel_lagopus_sad_t *sad;
	/** number of the SA, which may be flushed meanwhile */
	uint64_t seq;
	kernel_ipsec_update_sa_t *data;
} move_t;

static void half_move_destroy(half_move_t *this)
{
	if (this)
	{
		this->src->destroy(this->src);
		this->dst->destroy(this->dst);
		free(this);
	}
}

/**
 * Remember where an inbound SA is
 */
static half_move_t *half_move_create(sa_t *sa)
{
	half_move_t *this;

	INIT(this,
		.seq = sa->seq,
		.src = sa->id.src->clone(sa->id.src),
		.dst = sa->id.dst->clone(sa->id.dst),
		.encap = sa->data.encap,
		.reqid = sa->data.reqid,
	);
	return this;
}

/**
 * Replace what this thread remembers
 */
static void remember(private_kernel_lagopus_mover_t *this, half_move_t *half)
{
	half_move_destroy(this->half->get(this->half));
	this->half->set(this->half, half);
}

/**
 * The agent moved an SA
 */
CALLBACK(confirm, void,
	move_t *move)
{
	sa_t *sa = move->sad->find_seq(move->sad, move->seq);

	if (sa)
	{
		move->sad->move(move->sad, sa, move->data->new_src,
						move->data->new_dst, move->data->new_encap,
						move->data->new_reqid);
	}
}

/**
 * Tell the agent that an SA is back where the table has it. Nobody waits for
 * that: an agent that can't move it at once has to go on trying.
 *
 * @param src		source it may have now
 * @param dst		destination it may have now
 * @param encap		whether it may be encapsulated now
 */
static void send_back(private_kernel_lagopus_mover_t *this, sa_t *sa,
					  host_t *src, host_t *dst, bool encap)
{
	kernel_ipsec_sa_id_t id = sa->id;
	kernel_ipsec_update_sa_t data = {
		.new_src = sa->id.src,
		.new_dst = sa->id.dst,
		.encap = encap,
		.new_encap = sa->data.encap,
		.new_reqid = sa->data.reqid,
	};

	id.src = src;
	id.dst = dst;
	this->feed->send(this->feed,
					 message_update_sa(this->feed->next_seq(this->feed), &id,
									   sa->data.inbound, &data, ANNOUNCE_DONE));
}

/**
 * Take the inbound SA back if it is the other half of this outbound one
 */
static void undo_half(private_kernel_lagopus_mover_t *this,
					  kernel_ipsec_sa_id_t *out, kernel_ipsec_update_sa_t *data)
{
	half_move_t *half = this->half->get(this->half);
	sa_t *sa;

	if (!half || !half->src->equals(half->src, out->dst) ||
		!half->dst->equals(half->dst, out->src))
	{
		return;
	}
	sa = this->sad->find_seq(this->sad, half->seq);
	if (sa && sa->id.src->equals(sa->id.src, data->new_dst) &&
		sa->id.dst->equals(sa->id.dst, data->new_src))
	{
		this->sad->move(this->sad, sa, half->src, half->dst, half->encap,
						half->reqid);
		send_back(this, sa, data->new_dst, data->new_src, data->new_encap);
	}
}

/**
 * Check if another SA has the identity this one would get
 */
static bool is_taken(private_kernel_lagopus_mover_t *this, sa_t *sa,
					 kernel_ipsec_update_sa_t *data)
{
	kernel_ipsec_sa_id_t id = sa->id;
	sa_t *found;

	id.src = data->new_src;
	id.dst = data->new_dst;
	found = this->sad->find(this->sad, &id);
	return found && found != sa;
}

/**
 * Move an SA, mutex held
 *
 * @param reason	receives why it failed
 */
static bool try_update(private_kernel_lagopus_mover_t *this, sa_t *sa,
					   kernel_ipsec_update_sa_t *data, char reason[256])
{
	move_t move = {
		.sad = this->sad,
		.seq = sa->seq,
		.data = data,
	};
	feed_request_t request = {
		.commit = confirm,
		.data = &move,
	};
	call_t outcome;

	if (is_taken(this, sa, data))
	{
		snprintf(reason, 256, "there is one with this SPI");
		return FALSE;
	}
	request.seq = this->feed->next_seq(this->feed);
	outcome = this->feed->call(this->feed, &request,
						message_update_sa(request.seq, &sa->id,
										  sa->data.inbound, data,
										  ANNOUNCE_AWAITED));
	sa = this->sad->find_seq(this->sad, move.seq);
	if (outcome == CALL_UNKNOWN && sa)
	{
		send_back(this, sa, data->new_src, data->new_dst, data->new_encap);
	}
	snprintf(reason, 256, "%s", request.reason);
	return outcome == CALL_OK;
}

METHOD(kernel_lagopus_mover_t, update, status_t,
	private_kernel_lagopus_mover_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_update_sa_t *data)
{
	char reason[256] = "there is none";
	half_move_t *half = NULL;
	bool success = FALSE;
	sa_t *sa;

	this->mutex->lock(this->mutex);
	sa = this->sad->find(this->sad, id);
	if (sa && !sa->awaiting)
	{
		half = sa->data.inbound ? half_move_create(sa) : NULL;
		success = try_update(this, sa, data, reason);
	}
	if (!success)
	{
		half_move_destroy(half);
		half = NULL;
		undo_half(this, id, data);
	}
	remember(this, half);
	this->mutex->unlock(this->mutex);

	if (!success)
	{
		DBG1(DBG_KNL, "moving SA 0x%08x from %#H == %#H to %#H == %#H failed: "
			 "%s", ntohl(id->spi), id->src, id->dst, data->new_src,
			 data->new_dst, reason);
		return NOT_SUPPORTED;
	}
	DBG1(DBG_KNL, "moved SA 0x%08x from %#H == %#H to %#H == %#H",
		 ntohl(id->spi), id->src, id->dst, data->new_src, data->new_dst);
	return SUCCESS;
}

METHOD(kernel_lagopus_mover_t, destroy, void,
	private_kernel_lagopus_mover_t *this)
{
	remember(this, NULL);
	this->half->destroy(this->half);
	free(this);
}

/*
 * Described in header.
 */
kernel_lagopus_mover_t *kernel_lagopus_mover_create(mutex_t *mutex,
													kernel_lagopus_sad_t *sad,
													kernel_lagopus_feed_t *feed)
{
	private_kernel_lagopus_mover_t *this;

	INIT(this,
		.public = {
			.update = _update,
			.destroy = _destroy,
		},
		.mutex = mutex,
		.sad = sad,
		.feed = feed,
		.half = thread_value_create((void*)half_move_destroy),
	);
	return &this->public;
}
