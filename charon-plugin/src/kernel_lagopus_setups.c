/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_setups.h"
#include "kernel_lagopus_messages.h"

#include <collections/hashtable.h>
#include <daemon.h>
#include <sa/ikev2/tasks/child_create.h>

/** Beyond that many, setups that fail are not remembered */
#define MAX_SETUPS 4096

typedef struct private_kernel_lagopus_setups_t private_kernel_lagopus_setups_t;
typedef struct setup_t setup_t;

/**
 * A CHILD_SA that is not there
 */
struct setup_t {
	/** name of its IKE_SA */
	char *ike;
	/** its own name */
	char *child;
	/** why it failed */
	char *reason;
};

/**
 * Private data
 */
struct private_kernel_lagopus_setups_t {

	/**
	 * Public interface
	 */
	kernel_lagopus_setups_t public;

	/**
	 * Guards the table
	 */
	mutex_t *mutex;

	/**
	 * Setups that failed, setup_t => setup_t
	 */
	hashtable_t *table;

	/**
	 * TRUE once it was logged that the table is full
	 */
	bool full;
};

/**
 * Destroy a setup
 */
static void setup_destroy(setup_t *this)
{
	free(this->ike);
	free(this->child);
	free(this->reason);
	free(this);
}

/**
 * Hash a setup by its names
 */
static u_int setup_hash(const void *key)
{
	const setup_t *this = key;

	return chunk_hash_inc(chunk_from_str(this->child),
						  chunk_hash(chunk_from_str(this->ike)));
}

/**
 * Compare setups by their names
 */
static bool setup_equals(const void *a, const void *b)
{
	const setup_t *x = a, *y = b;

	return streq(x->ike, y->ike) && streq(x->child, y->child);
}

/**
 * Find the CHILD_SA that a task of IKEv2 installs
 *
 * @return			its name, allocated; NULL if no task of this queue does
 */
static char *find_created(ike_sa_t *ike_sa, task_queue_t queue,
						  setup_step_t *step)
{
	enumerator_t *enumerator;
	child_create_t *create;
	child_sa_t *child_sa;
	task_t *task;
	char *name = NULL;

	enumerator = ike_sa->create_task_enumerator(ike_sa, queue);
	while (!name && enumerator->enumerate(enumerator, &task))
	{
		if (task->get_type(task) == TASK_CHILD_CREATE)
		{
			create = (child_create_t*)task;
			child_sa = create->get_child(create);
			if (child_sa && step->spi == child_sa->get_spi(child_sa,
														   step->inbound))
			{
				name = strdup(child_sa->get_name(child_sa));
			}
		}
	}
	enumerator->destroy(enumerator);
	return name;
}

/**
 * Find the configuration charon would take for these selectors: a quick mode
 * of IKEv1 does not show its CHILD_SA
 *
 * @return			its name, allocated; NULL if there is none
 */
static char *find_config(ike_sa_t *ike_sa, setup_step_t *step)
{
	linked_list_t *my_hosts, *other_hosts;
	peer_cfg_t *peer_cfg;
	child_cfg_t *child_cfg;
	char *name = NULL;

	peer_cfg = ike_sa->get_peer_cfg(ike_sa);
	if (peer_cfg)
	{
		my_hosts = ike_sa_get_dynamic_hosts(ike_sa, TRUE);
		other_hosts = ike_sa_get_dynamic_hosts(ike_sa, FALSE);
		child_cfg = peer_cfg->select_child_cfg(peer_cfg,
							step->inbound ? step->dst_ts : step->src_ts,
							step->inbound ? step->src_ts : step->dst_ts,
							my_hosts, other_hosts, NULL, NULL);
		if (child_cfg)
		{
			name = strdup(child_cfg->get_name(child_cfg));
			child_cfg->destroy(child_cfg);
		}
		my_hosts->destroy(my_hosts);
		other_hosts->destroy(other_hosts);
	}
	return name;
}

/**
 * Find out which CHILD_SA this thread sets up. It holds the IKE_SA, so nothing
 * that is looked at here changes meanwhile.
 *
 * @return			setup without a reason, NULL if it is none
 */
static setup_t *identify(setup_step_t *step)
{
	ike_sa_t *ike_sa = charon->bus->get_sa(charon->bus);
	setup_t *setup = NULL;
	char *child;

	if (!ike_sa || !step->spi)
	{	/* nobody sets anything up, or a trap */
		return NULL;
	}
	if (ike_sa->get_version(ike_sa) == IKEV1)
	{
		child = find_config(ike_sa, step);
	}
	else
	{
		child = find_created(ike_sa, TASK_QUEUE_ACTIVE, step) ?:
				find_created(ike_sa, TASK_QUEUE_PASSIVE, step);
	}
	if (child)
	{
		INIT(setup,
			.ike = strdup(ike_sa->get_name(ike_sa)),
			.child = child,
		);
	}
	return setup;
}

/**
 * Take a setup out of the table, mutex held
 */
static void forget(private_kernel_lagopus_setups_t *this, setup_t *setup)
{
	setup_t *known = this->table->remove(this->table, setup);

	if (known)
	{
		setup_destroy(known);
		this->full = FALSE;
	}
}

/**
 * Put a setup into the table if there is room, mutex held
 *
 * @param setup		setup, gets owned
 * @return			TRUE if it is the first one for which there is none
 */
static bool remember(private_kernel_lagopus_setups_t *this, setup_t *setup)
{
	bool full = this->full;

	forget(this, setup);
	if (this->table->get_count(this->table) < MAX_SETUPS)
	{
		this->table->put(this->table, setup, setup);
		return FALSE;
	}
	setup_destroy(setup);
	this->full = TRUE;
	return !full;
}

METHOD(kernel_lagopus_setups_t, failed, void,
	private_kernel_lagopus_setups_t *this, kernel_lagopus_feed_t *feed,
	setup_step_t *step, setup_failure_t *failure)
{
	setup_t *setup = identify(step);
	bool overflow = FALSE;

	if (!setup)
	{
		return;
	}
	setup->reason = strdup(failure->reason);

	this->mutex->lock(this->mutex);
	feed->report(feed, message_setup_failed(setup->ike, setup->child,
							failure->permanent ? CODE_REFUSED : CODE_TRY_AGAIN,
							setup->reason));
	if (failure->permanent)
	{
		forget(this, setup);
		setup_destroy(setup);
	}
	else
	{
		overflow = remember(this, setup);
	}
	this->mutex->unlock(this->mutex);

	if (overflow)
	{
		DBG1(DBG_KNL, "more than %d CHILD_SAs failed, an agent that connects "
			 "later will not know all of them", MAX_SETUPS);
	}
}

METHOD(kernel_lagopus_setups_t, started, void,
	private_kernel_lagopus_setups_t *this, setup_step_t *step)
{
	setup_t *setup;
	bool empty;

	this->mutex->lock(this->mutex);
	empty = this->table->get_count(this->table) == 0;
	this->mutex->unlock(this->mutex);

	setup = empty ? NULL : identify(step);
	if (setup)
	{
		this->mutex->lock(this->mutex);
		forget(this, setup);
		this->mutex->unlock(this->mutex);
		setup_destroy(setup);
	}
}

METHOD(kernel_lagopus_setups_t, add_frames, void,
	private_kernel_lagopus_setups_t *this, linked_list_t *frames)
{
	enumerator_t *enumerator;
	setup_t *setup;
	chunk_t *frame;

	enumerator = this->table->create_enumerator(this->table);
	while (enumerator->enumerate(enumerator, NULL, &setup))
	{
		INIT(frame);
		*frame = message_setup_failed(setup->ike, setup->child, CODE_TRY_AGAIN,
									  setup->reason);
		frames->insert_last(frames, frame);
	}
	enumerator->destroy(enumerator);
}

METHOD(kernel_lagopus_setups_t, destroy, void,
	private_kernel_lagopus_setups_t *this)
{
	enumerator_t *enumerator;
	setup_t *setup;

	enumerator = this->table->create_enumerator(this->table);
	while (enumerator->enumerate(enumerator, NULL, &setup))
	{
		this->table->remove_at(this->table, enumerator);
		setup_destroy(setup);
	}
	enumerator->destroy(enumerator);
	this->table->destroy(this->table);
	free(this);
}

/*
 * Described in header.
 */
kernel_lagopus_setups_t *kernel_lagopus_setups_create(mutex_t *mutex)
{
	private_kernel_lagopus_setups_t *this;

	INIT(this,
		.public = {
			.failed = _failed,
			.started = _started,
			.add_frames = _add_frames,
			.destroy = _destroy,
		},
		.mutex = mutex,
		.table = hashtable_create(setup_hash, setup_equals, 8),
	);
	return &this->public;
}
