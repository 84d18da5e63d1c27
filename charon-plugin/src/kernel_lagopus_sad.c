/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_sad.h"

#include <collections/hashtable.h>

typedef struct private_kernel_lagopus_sad_t private_kernel_lagopus_sad_t;

/**
 * Private data
 */
struct private_kernel_lagopus_sad_t {

	/**
	 * Public interface
	 */
	kernel_lagopus_sad_t public;

	/**
	 * SAs by identity, kernel_ipsec_sa_id_t* => sa_t*
	 */
	hashlist_t *sas;

	/**
	 * The same SAs by sequence number, uint64_t* => sa_t*
	 */
	hashtable_t *by_seq;
};

/**
 * Hash what the agent names an SA with as well
 */
static u_int id_hash(kernel_ipsec_sa_id_t *id)
{
	return chunk_hash_inc(id->dst->get_address(id->dst),
						  chunk_hash_inc(chunk_from_thing(id->proto),
								chunk_hash(chunk_from_thing(id->spi))));
}

static bool id_matches(kernel_ipsec_sa_id_t *a, kernel_ipsec_sa_id_t *b)
{
	return a->spi == b->spi && a->proto == b->proto &&
		   a->dst->ip_equals(a->dst, b->dst);
}

static bool id_equals(kernel_ipsec_sa_id_t *a, kernel_ipsec_sa_id_t *b)
{
	return id_matches(a, b) && a->mark.value == b->mark.value &&
		   a->mark.mask == b->mark.mask && a->if_id == b->if_id;
}

static u_int seq_hash(uint64_t *seq)
{
	return chunk_hash(chunk_create((u_char*)seq, sizeof(*seq)));
}

static bool seq_equals(uint64_t *a, uint64_t *b)
{
	return *a == *b;
}

/**
 * Copy a list of traffic selectors
 */
static linked_list_t *clone_ts(linked_list_t *list)
{
	if (!list)
	{
		return linked_list_create();
	}
	return list->clone_offset(list, offsetof(traffic_selector_t, clone));
}

/**
 * Destroy an SA and wipe its keys
 */
static void sa_destroy(sa_t *this)
{
	this->id.src->destroy(this->id.src);
	this->id.dst->destroy(this->id.dst);
	this->data.src_ts->destroy_offset(this->data.src_ts,
									  offsetof(traffic_selector_t, destroy));
	this->data.dst_ts->destroy_offset(this->data.dst_ts,
									  offsetof(traffic_selector_t, destroy));
	DESTROY_IF(this->data.label);
	chunk_clear(&this->data.enc_key);
	chunk_clear(&this->data.int_key);
	free(this->data.interface);
	free(this->data.lifetime);
	free(this);
}

/*
 * Described in header.
 */
time_t last_use_from_idle(uint64_t idle_ms)
{
	time_t now = time_monotonic(NULL);

	if (idle_ms == FEED_NEVER_USED)
	{
		return 0;
	}
	/* 0 means never used, the first second of uptime is close enough */
	return idle_ms / 1000 >= now ? 1 : now - idle_ms / 1000;
}

METHOD(kernel_lagopus_sad_t, find, sa_t*,
	private_kernel_lagopus_sad_t *this, kernel_ipsec_sa_id_t *id)
{
	return this->sas->ht.get(&this->sas->ht, id);
}

METHOD(kernel_lagopus_sad_t, find_seq, sa_t*,
	private_kernel_lagopus_sad_t *this, uint64_t seq)
{
	return this->by_seq->get(this->by_seq, &seq);
}

METHOD(kernel_lagopus_sad_t, find_spi, sa_t*,
	private_kernel_lagopus_sad_t *this, uint8_t protocol, uint32_t spi,
	host_t *dst)
{
	kernel_ipsec_sa_id_t id = {
		.dst = dst,
		.spi = spi,
		.proto = protocol,
	};

	return this->sas->get_match(this->sas, &id, (hashtable_equals_t)id_matches);
}

METHOD(kernel_lagopus_sad_t, add, sa_t*,
	private_kernel_lagopus_sad_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_add_sa_t *data, uint64_t seq)
{
	sa_t *sa;

	if (find(this, id))
	{
		return NULL;
	}
	INIT(sa,
		.id = *id,
		.data = *data,
		.seq = seq,
		.awaiting = TRUE,
	);
	time_monotonic(&sa->installed);
	sa->id.src = id->src->clone(id->src);
	sa->id.dst = id->dst->clone(id->dst);
	sa->data.src_ts = clone_ts(data->src_ts);
	sa->data.dst_ts = clone_ts(data->dst_ts);
	sa->data.enc_key = chunk_clone(data->enc_key);
	sa->data.int_key = chunk_clone(data->int_key);
	sa->data.interface = strdupnull(data->interface);
	sa->data.label = data->label ? data->label->clone(data->label) : NULL;
	INIT(sa->data.lifetime);
	if (data->lifetime)
	{
		*sa->data.lifetime = *data->lifetime;
	}
	this->sas->ht.put(&this->sas->ht, &sa->id, sa);
	this->by_seq->put(this->by_seq, &sa->seq, sa);
	return sa;
}

METHOD(kernel_lagopus_sad_t, move, void,
	private_kernel_lagopus_sad_t *this, sa_t *sa, host_t *src, host_t *dst,
	bool encap, uint32_t reqid)
{
	host_t *old_src = sa->id.src, *old_dst = sa->id.dst;

	this->sas->ht.remove(&this->sas->ht, &sa->id);
	sa->id.src = src->clone(src);
	sa->id.dst = dst->clone(dst);
	sa->data.encap = encap;
	sa->data.reqid = reqid ?: sa->data.reqid;
	this->sas->ht.put(&this->sas->ht, &sa->id, sa);
	old_src->destroy(old_src);
	old_dst->destroy(old_dst);
}

METHOD(kernel_lagopus_sad_t, account, void,
	private_kernel_lagopus_sad_t *this, usage_entry_t *entry)
{
	sa_t *sa = find_spi(this, entry->protocol, entry->spi, entry->dst);

	if (!sa || sa->data.inbound != (entry->direction == FEED_IN))
	{
		return;
	}
	if (entry->bytes < sa->reported_bytes ||
		entry->packets < sa->reported_packets)
	{	/* counters were started over, charon must not see them go back */
		sa->reported_bytes = sa->reported_packets = 0;
	}
	sa->bytes += entry->bytes - sa->reported_bytes;
	sa->packets += entry->packets - sa->reported_packets;
	sa->reported_bytes = entry->bytes;
	sa->reported_packets = entry->packets;
	sa->used = max(sa->used, last_use_from_idle(entry->idle_ms));
}

METHOD(kernel_lagopus_sad_t, remove_, void,
	private_kernel_lagopus_sad_t *this, sa_t *sa)
{
	this->sas->ht.remove(&this->sas->ht, &sa->id);
	this->by_seq->remove(this->by_seq, &sa->seq);
	sa_destroy(sa);
}

CALLBACK(filter_confirmed, bool,
	void *unused, enumerator_t *orig, va_list args)
{
	sa_t *sa, **out;

	VA_ARGS_VGET(args, out);

	while (orig->enumerate(orig, NULL, &sa))
	{
		if (!sa->awaiting)
		{
			*out = sa;
			return TRUE;
		}
	}
	return FALSE;
}

METHOD(kernel_lagopus_sad_t, create_enumerator, enumerator_t*,
	private_kernel_lagopus_sad_t *this)
{
	return enumerator_create_filter(
							this->sas->ht.create_enumerator(&this->sas->ht),
							filter_confirmed, NULL, NULL);
}

METHOD(kernel_lagopus_sad_t, flush, void,
	private_kernel_lagopus_sad_t *this)
{
	enumerator_t *enumerator;
	sa_t *sa;

	enumerator = this->sas->ht.create_enumerator(&this->sas->ht);
	while (enumerator->enumerate(enumerator, NULL, &sa))
	{
		if (!sa->awaiting)
		{
			this->sas->ht.remove_at(&this->sas->ht, enumerator);
			this->by_seq->remove(this->by_seq, &sa->seq);
			sa_destroy(sa);
		}
	}
	enumerator->destroy(enumerator);
}

METHOD(kernel_lagopus_sad_t, destroy, void,
	private_kernel_lagopus_sad_t *this)
{
	enumerator_t *enumerator;
	sa_t *sa;

	enumerator = this->sas->ht.create_enumerator(&this->sas->ht);
	while (enumerator->enumerate(enumerator, NULL, &sa))
	{
		this->sas->ht.remove_at(&this->sas->ht, enumerator);
		sa_destroy(sa);
	}
	enumerator->destroy(enumerator);
	this->sas->destroy(this->sas);
	this->by_seq->destroy(this->by_seq);
	free(this);
}

/*
 * Described in header.
 */
kernel_lagopus_sad_t *kernel_lagopus_sad_create()
{
	private_kernel_lagopus_sad_t *this;

	INIT(this,
		.public = {
			.add = _add,
			.find = _find,
			.find_seq = _find_seq,
			.find_spi = _find_spi,
			.move = _move,
			.account = _account,
			.remove = _remove_,
			.flush = _flush,
			.create_enumerator = _create_enumerator,
			.destroy = _destroy,
		},
		.sas = hashlist_create((hashtable_hash_t)id_hash,
							   (hashtable_equals_t)id_equals, 32),
		.by_seq = hashtable_create((hashtable_hash_t)seq_hash,
								   (hashtable_equals_t)seq_equals, 32),
	);
	return &this->public;
}
