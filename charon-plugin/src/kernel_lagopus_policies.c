/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_policies.h"
#include "kernel_lagopus_messages.h"

typedef struct private_kernel_lagopus_policies_t
											private_kernel_lagopus_policies_t;

/**
 * Private data
 */
struct private_kernel_lagopus_policies_t {

	/**
	 * Public interface
	 */
	kernel_lagopus_policies_t public;

	/**
	 * Mutex of tables and feed
	 */
	mutex_t *mutex;

	/**
	 * Policies
	 */
	kernel_lagopus_spd_t *spd;

	/**
	 * SAs
	 */
	kernel_lagopus_sad_t *sad;

	/**
	 * Connection to the agent
	 */
	kernel_lagopus_feed_t *feed;

	/**
	 * Ends SAs
	 */
	kernel_lagopus_expiry_t *expiry;

	/**
	 * Routes for policies
	 */
	kernel_lagopus_routes_t *routes;

	/**
	 * CHILD_SAs that could not be set up
	 */
	kernel_lagopus_setups_t *setups;
};

/**
 * Confirm a policy
 */
CALLBACK(confirm_policy, void,
	policy_user_t *user)
{
	user->awaiting = FALSE;
}

/**
 * Check if the agent has to say yes to a policy.
 *
 * There are no forwarding policies in a dataplane, they are only reported.
 * Shunts are installed when charon starts and only then: if nobody is there
 * to ask, the next snapshot tells.
 */
static bool needs_answer(private_kernel_lagopus_policies_t *this,
						 policy_user_t *user)
{
	return user->policy->id.dir != POLICY_FWD &&
		   (user->data.type == POLICY_IPSEC ||
			this->feed->is_ready(this->feed));
}

/**
 * The SA an outbound policy of a CHILD_SA sends through, mutex held
 */
static sa_t *find_sa(private_kernel_lagopus_policies_t *this,
					 kernel_ipsec_policy_id_t *id,
					 kernel_ipsec_manage_policy_t *data)
{
	kernel_ipsec_sa_id_t sa_id = {
		.src = data->src,
		.dst = data->dst,
		.spi = data->sa->esp.use ? data->sa->esp.spi : data->sa->ah.spi,
		.proto = data->sa->esp.use ? IPPROTO_ESP : IPPROTO_AH,
		.mark = id->mark,
		.if_id = id->if_id,
	};

	if (id->dir != POLICY_OUT || data->type != POLICY_IPSEC)
	{
		return NULL;
	}
	return this->sad->find(this->sad, &sa_id);
}

/**
 * A policy failed: make sure that its CHILD_SA does not outlive it, mutex held
 */
static void condemn_sa(private_kernel_lagopus_policies_t *this,
					   kernel_ipsec_policy_id_t *id,
					   kernel_ipsec_manage_policy_t *data)
{
	sa_t *sa = find_sa(this, id, data);

	if (sa)
	{
		this->expiry->condemn(this->expiry, sa);
	}
}

/**
 * Check if a policy switches traffic from another CHILD_SA to a confirmed SA of
 * its own, mutex held.
 *
 * That comes last in a rekeying: the peer uses the new CHILD_SA already, and
 * charon deletes the old one whatever becomes of the policy.
 */
static bool is_switch(private_kernel_lagopus_policies_t *this,
					  policy_user_t *user)
{
	enumerator_t *enumerator;
	policy_user_t *other;
	sa_t *sa;
	bool found = FALSE;

	sa = find_sa(this, &user->policy->id, &user->data);
	if (!sa || sa->awaiting)
	{
		return FALSE;
	}
	enumerator = user->policy->users->create_enumerator(user->policy->users);
	while (!found && enumerator->enumerate(enumerator, &other))
	{
		found = other != user && !other->awaiting &&
				other->data.type == POLICY_IPSEC &&
				(other->data.sa->esp.spi || other->data.sa->ah.spi);
	}
	enumerator->destroy(enumerator);
	return found;
}

/**
 * Take a policy nobody answered for, mutex held: as a change nobody waits for,
 * behind a deletion of what may have been applied. Without a connection the
 * next snapshot has it.
 */
static void take_unanswered(private_kernel_lagopus_policies_t *this,
							policy_user_t *user, call_t outcome)
{
	if (outcome == CALL_UNKNOWN)
	{
		this->feed->send(this->feed,
						 message_del_policy(this->feed->next_seq(this->feed),
											user));
	}
	user->awaiting = FALSE;
	user->seq = this->feed->next_seq(this->feed);
	this->feed->send(this->feed, message_add_policy(user, ANNOUNCE_DONE));
}

/**
 * A policy failed: note its CHILD_SA
 */
static void note_failure(private_kernel_lagopus_policies_t *this,
						 kernel_ipsec_policy_id_t *id,
						 kernel_ipsec_manage_policy_t *data,
						 setup_failure_t *failure)
{
	setup_step_t step = {
		.spi = data->sa->esp.use ? data->sa->esp.spi : data->sa->ah.spi,
		.inbound = id->dir != POLICY_OUT,
	};

	if (data->type == POLICY_IPSEC)
	{
		step.src_ts = linked_list_create_with_items(id->src_ts, NULL);
		step.dst_ts = linked_list_create_with_items(id->dst_ts, NULL);
		this->setups->failed(this->setups, this->feed, &step, failure);
		step.src_ts->destroy(step.src_ts);
		step.dst_ts->destroy(step.dst_ts);
	}
}

/**
 * Announce a policy and wait for the agent to take it if it has to, mutex held
 *
 * @param failure	receives why it failed
 */
static bool try_add_policy(private_kernel_lagopus_policies_t *this,
						   kernel_ipsec_policy_id_t *id,
						   kernel_ipsec_manage_policy_t *data,
						   setup_failure_t *failure)
{
	feed_request_t request = {
		.commit = confirm_policy,
	};
	policy_user_t *user;
	call_t outcome;

	user = this->spd->add(this->spd, id, data,
						  this->feed->next_seq(this->feed));
	if (!needs_answer(this, user))
	{
		user->awaiting = FALSE;
		this->feed->send(this->feed, message_add_policy(user, ANNOUNCE_DONE));
		return TRUE;
	}
	request.seq = user->seq;
	request.data = user;
	outcome = this->feed->call(this->feed, &request,
							   message_add_policy(user, ANNOUNCE_AWAITED));
	if (outcome == CALL_OK)
	{
		return TRUE;
	}
	if (outcome != CALL_REFUSED && is_switch(this, user))
	{
		DBG1(DBG_KNL, "policy %R === %R %N waits for an agent: %s", id->src_ts,
			 id->dst_ts, policy_dir_names, id->dir, request.reason);
		take_unanswered(this, user, outcome);
		return TRUE;
	}
	if (outcome == CALL_UNKNOWN)
	{
		this->feed->send(this->feed,
						 message_del_policy(this->feed->next_seq(this->feed),
											user));
	}
	this->spd->remove(this->spd, user);
	condemn_sa(this, id, data);
	snprintf(failure->reason, sizeof(failure->reason), "%s", request.reason);
	failure->permanent = request.permanent;
	return FALSE;
}

METHOD(kernel_lagopus_policies_t, add, status_t,
	private_kernel_lagopus_policies_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	setup_failure_t failure;
	bool success;

	this->mutex->lock(this->mutex);
	success = try_add_policy(this, id, data, &failure);
	this->mutex->unlock(this->mutex);

	if (!success)
	{
		DBG1(DBG_KNL, "installing policy %R === %R %N failed: %s", id->src_ts,
			 id->dst_ts, policy_dir_names, id->dir, failure.reason);
		note_failure(this, id, data, &failure);
		return FAILED;
	}
	this->routes->add(this->routes, id, data);
	return SUCCESS;
}

METHOD(kernel_lagopus_policies_t, query, status_t,
	private_kernel_lagopus_policies_t *this, kernel_ipsec_policy_id_t *id,
	time_t *use_time)
{
	bool found;

	this->mutex->lock(this->mutex);
	found = this->spd->query(this->spd, id, use_time);
	this->mutex->unlock(this->mutex);
	return found ? SUCCESS : NOT_FOUND;
}

METHOD(kernel_lagopus_policies_t, del, status_t,
	private_kernel_lagopus_policies_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	policy_user_t *user;

	this->mutex->lock(this->mutex);
	user = this->spd->find(this->spd, id, data);
	if (user)
	{
		this->feed->send(this->feed,
						 message_del_policy(this->feed->next_seq(this->feed),
											user));
		this->spd->remove(this->spd, user);
	}
	this->mutex->unlock(this->mutex);

	if (user)
	{
		this->routes->remove(this->routes, id, data);
	}
	return SUCCESS;
}

METHOD(kernel_lagopus_policies_t, flush, status_t,
	private_kernel_lagopus_policies_t *this)
{
	this->mutex->lock(this->mutex);
	this->spd->flush(this->spd);
	this->feed->send(this->feed, message_plain(MSG_FLUSH_POLICIES,
								this->feed->next_seq(this->feed), FALSE));
	this->mutex->unlock(this->mutex);

	this->routes->flush(this->routes);
	return SUCCESS;
}

METHOD(kernel_lagopus_policies_t, destroy, void,
	private_kernel_lagopus_policies_t *this)
{
	free(this);
}

/*
 * Described in header.
 */
kernel_lagopus_policies_t *kernel_lagopus_policies_create(mutex_t *mutex,
			kernel_lagopus_spd_t *spd, kernel_lagopus_sad_t *sad,
			kernel_lagopus_feed_t *feed, kernel_lagopus_expiry_t *expiry,
			kernel_lagopus_routes_t *routes, kernel_lagopus_setups_t *setups)
{
	private_kernel_lagopus_policies_t *this;

	INIT(this,
		.public = {
			.add = _add,
			.query = _query,
			.del = _del,
			.flush = _flush,
			.destroy = _destroy,
		},
		.mutex = mutex,
		.spd = spd,
		.sad = sad,
		.feed = feed,
		.expiry = expiry,
		.routes = routes,
		.setups = setups,
	);
	return &this->public;
}
