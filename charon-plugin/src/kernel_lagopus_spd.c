/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_spd.h"
#include "kernel_lagopus_sad.h"

#include <collections/hashtable.h>

typedef struct private_kernel_lagopus_spd_t private_kernel_lagopus_spd_t;

/**
 * Private data
 */
struct private_kernel_lagopus_spd_t {

	/**
	 * Public interface
	 */
	kernel_lagopus_spd_t public;

	/**
	 * Policies by selector, kernel_ipsec_policy_id_t* => policy_t*
	 */
	hashtable_t *policies;
};

static u_int id_hash(kernel_ipsec_policy_id_t *id)
{
	u_int hash = chunk_hash(chunk_from_thing(id->dir));

	return id->dst_ts->hash(id->dst_ts, id->src_ts->hash(id->src_ts, hash));
}

static bool id_equals(kernel_ipsec_policy_id_t *a, kernel_ipsec_policy_id_t *b)
{
	return a->dir == b->dir &&
		   a->mark.value == b->mark.value && a->mark.mask == b->mark.mask &&
		   a->if_id == b->if_id && streq(a->interface, b->interface) &&
		   sec_labels_equal(a->label, b->label) &&
		   a->src_ts->equals(a->src_ts, b->src_ts) &&
		   a->dst_ts->equals(a->dst_ts, b->dst_ts);
}

/**
 * Check if two users were installed for the same purpose
 */
static bool user_equals(kernel_ipsec_manage_policy_t *a,
						kernel_ipsec_manage_policy_t *b)
{
	return a->type == b->type && a->prio == b->prio &&
		   a->manual_prio == b->manual_prio &&
		   a->src->ip_equals(a->src, b->src) &&
		   a->dst->ip_equals(a->dst, b->dst) &&
		   ipsec_sa_cfg_equals(a->sa, b->sa);
}

/**
 * Destroy a user
 */
static void user_destroy(policy_user_t *this)
{
	this->data.src->destroy(this->data.src);
	this->data.dst->destroy(this->data.dst);
	free(this->data.sa);
	free(this);
}

/**
 * Destroy a policy without users
 */
static void policy_destroy(policy_t *this)
{
	this->id.src_ts->destroy(this->id.src_ts);
	this->id.dst_ts->destroy(this->id.dst_ts);
	DESTROY_IF(this->id.label);
	free(this->id.interface);
	this->users->destroy(this->users);
	free(this);
}

/**
 * Create a policy without users
 */
static policy_t *policy_create(kernel_ipsec_policy_id_t *id)
{
	policy_t *this;

	INIT(this,
		.id = *id,
		.users = linked_list_create(),
	);
	this->id.src_ts = id->src_ts->clone(id->src_ts);
	this->id.dst_ts = id->dst_ts->clone(id->dst_ts);
	this->id.interface = strdupnull(id->interface);
	this->id.label = id->label ? id->label->clone(id->label) : NULL;
	return this;
}

METHOD(kernel_lagopus_spd_t, add, policy_user_t*,
	private_kernel_lagopus_spd_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data, uint64_t seq)
{
	policy_user_t *user;
	policy_t *policy;

	policy = this->policies->get(this->policies, id);
	if (!policy)
	{
		policy = policy_create(id);
		this->policies->put(this->policies, &policy->id, policy);
	}
	INIT(user,
		.policy = policy,
		.data = *data,
		.seq = seq,
		.awaiting = TRUE,
	);
	user->data.src = data->src->clone(data->src);
	user->data.dst = data->dst->clone(data->dst);
	INIT(user->data.sa);
	*user->data.sa = *data->sa;
	policy->users->insert_last(policy->users, user);
	return user;
}

METHOD(kernel_lagopus_spd_t, find, policy_user_t*,
	private_kernel_lagopus_spd_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	enumerator_t *enumerator;
	policy_user_t *user, *found = NULL;
	policy_t *policy;

	policy = this->policies->get(this->policies, id);
	if (!policy)
	{
		return NULL;
	}
	enumerator = policy->users->create_enumerator(policy->users);
	while (!found && enumerator->enumerate(enumerator, &user))
	{
		if (!user->awaiting && user_equals(&user->data, data))
		{
			found = user;
		}
	}
	enumerator->destroy(enumerator);
	return found;
}

METHOD(kernel_lagopus_spd_t, query, bool,
	private_kernel_lagopus_spd_t *this, kernel_ipsec_policy_id_t *id,
	time_t *used)
{
	policy_t *policy = this->policies->get(this->policies, id);

	*used = policy ? policy->used : 0;
	return policy != NULL;
}

METHOD(kernel_lagopus_spd_t, account, void,
	private_kernel_lagopus_spd_t *this, policy_usage_entry_t *entry)
{
	kernel_ipsec_policy_id_t id = {
		.src_ts = entry->src_ts,
		.dst_ts = entry->dst_ts,
		.mark = entry->mark,
		.if_id = entry->if_id,
	};
	policy_t *policy;

	switch (entry->direction)
	{
		case FEED_IN:
			id.dir = POLICY_IN;
			break;
		case FEED_OUT:
			id.dir = POLICY_OUT;
			break;
		case FEED_FWD:
			id.dir = POLICY_FWD;
			break;
	}
	policy = this->policies->get(this->policies, &id);
	if (policy)
	{
		policy->used = max(policy->used, last_use_from_idle(entry->idle_ms));
	}
}

METHOD(kernel_lagopus_spd_t, remove_, void,
	private_kernel_lagopus_spd_t *this, policy_user_t *user)
{
	policy_t *policy = user->policy;

	policy->users->remove(policy->users, user, NULL);
	user_destroy(user);
	if (!policy->users->get_count(policy->users))
	{
		this->policies->remove(this->policies, &policy->id);
		policy_destroy(policy);
	}
}

/**
 * Remove all users, those that await confirmation only if asked for
 */
static void remove_all(private_kernel_lagopus_spd_t *this, bool awaiting)
{
	enumerator_t *enumerator, *users;
	policy_user_t *user;
	policy_t *policy;

	enumerator = this->policies->create_enumerator(this->policies);
	while (enumerator->enumerate(enumerator, NULL, &policy))
	{
		users = policy->users->create_enumerator(policy->users);
		while (users->enumerate(users, &user))
		{
			if (awaiting || !user->awaiting)
			{
				policy->users->remove_at(policy->users, users);
				user_destroy(user);
			}
		}
		users->destroy(users);
		if (!policy->users->get_count(policy->users))
		{
			this->policies->remove_at(this->policies, enumerator);
			policy_destroy(policy);
		}
	}
	enumerator->destroy(enumerator);
}

METHOD(kernel_lagopus_spd_t, flush, void,
	private_kernel_lagopus_spd_t *this)
{
	remove_all(this, FALSE);
}

CALLBACK(filter_policies, bool,
	void *unused, enumerator_t *orig, va_list args)
{
	policy_t **policy;

	VA_ARGS_VGET(args, policy);
	return orig->enumerate(orig, NULL, policy);
}

CALLBACK(filter_confirmed, bool,
	void *unused, enumerator_t *orig, va_list args)
{
	policy_user_t *user, **out;

	VA_ARGS_VGET(args, out);

	while (orig->enumerate(orig, &user))
	{
		if (!user->awaiting)
		{
			*out = user;
			return TRUE;
		}
	}
	return FALSE;
}

/**
 * Enumerate the users of one selector
 */
static enumerator_t *create_user_enumerator(void *policy, void *unused)
{
	linked_list_t *users = ((policy_t*)policy)->users;

	return enumerator_create_filter(users->create_enumerator(users),
									filter_confirmed, NULL, NULL);
}

METHOD(kernel_lagopus_spd_t, create_enumerator, enumerator_t*,
	private_kernel_lagopus_spd_t *this)
{
	return enumerator_create_nested(
			enumerator_create_filter(
							this->policies->create_enumerator(this->policies),
							filter_policies, NULL, NULL),
			create_user_enumerator, NULL, NULL);
}

METHOD(kernel_lagopus_spd_t, destroy, void,
	private_kernel_lagopus_spd_t *this)
{
	remove_all(this, TRUE);
	this->policies->destroy(this->policies);
	free(this);
}

/*
 * Described in header.
 */
kernel_lagopus_spd_t *kernel_lagopus_spd_create()
{
	private_kernel_lagopus_spd_t *this;

	INIT(this,
		.public = {
			.add = _add,
			.find = _find,
			.query = _query,
			.account = _account,
			.remove = _remove_,
			.flush = _flush,
			.create_enumerator = _create_enumerator,
			.destroy = _destroy,
		},
		.policies = hashtable_create((hashtable_hash_t)id_hash,
									 (hashtable_equals_t)id_equals, 32),
	);
	return &this->public;
}
