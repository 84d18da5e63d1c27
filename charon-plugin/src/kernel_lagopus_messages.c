/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_messages.h"
#include "kernel_lagopus_compat.h"
#include "kernel_lagopus_writer.h"

#include <crypto/crypters/crypter.h>
#include <crypto/signers/signer.h>

/**
 * Milliseconds since a point in monotonic time
 */
static uint64_t age_ms(timeval_t *since)
{
	timeval_t now, age;

	time_monotonic(&now);
	timersub(&now, since, &age);
	return (uint64_t)age.tv_sec * 1000 + age.tv_usec / 1000;
}

/*
 * Described in header.
 */
chunk_t message_hello(chunk_t instance, uint32_t deadline_ms,
					  timeval_t *started)
{
	writer_t w;

	writer_init(&w, MSG_HELLO);
	writer_u16(&w, TAG_VERSION, FEED_VERSION);
	writer_bytes(&w, TAG_INSTANCE, instance);
	writer_text(&w, TAG_SERVER, "charon kernel-lagopus " VERSION);
	writer_u32(&w, TAG_DEADLINE_MS, deadline_ms);
	writer_u64(&w, TAG_AGE_MS, age_ms(started));
	return writer_finish(&w);
}

/*
 * Described in header.
 */
chunk_t message_snapshot_begin(uint64_t seq)
{
	return message_plain(MSG_SNAPSHOT_BEGIN, seq, FALSE);
}

/*
 * Described in header.
 */
chunk_t message_snapshot_end(uint64_t seq, uint32_t count)
{
	writer_t w;

	writer_init(&w, MSG_SNAPSHOT_END);
	writer_u64(&w, TAG_SEQ, seq);
	writer_u32(&w, TAG_COUNT, count);
	return writer_finish(&w);
}

/*
 * Described in header.
 */
chunk_t message_error(feed_code_t code, const char *reason)
{
	writer_t w;

	writer_init(&w, MSG_ERROR);
	writer_u16(&w, TAG_CODE, code);
	writer_text(&w, TAG_REASON, reason);
	return writer_finish(&w);
}

/*
 * Described in header.
 */
chunk_t message_plain(feed_type_t type, uint64_t seq, bool awaited)
{
	writer_t w;

	writer_init(&w, type);
	writer_u64(&w, TAG_SEQ, seq);
	if (awaited)
	{
		writer_flag(&w, TAG_AWAITED);
	}
	return writer_finish(&w);
}

/*
 * Described in header.
 */
chunk_t message_get_spi_request(uint64_t seq, uint8_t protocol, host_t *src,
								host_t *dst)
{
	writer_t w;

	writer_init(&w, MSG_GET_SPI);
	writer_u64(&w, TAG_SEQ, seq);
	writer_flag(&w, TAG_AWAITED);
	writer_u8(&w, TAG_PROTOCOL, protocol);
	writer_host(&w, TAG_SRC, src);
	writer_host(&w, TAG_DST, dst);
	return writer_finish(&w);
}

/**
 * Write the identity of an SA
 */
static void write_sa_id(writer_t *w, kernel_ipsec_sa_id_t *id, bool inbound)
{
	writer_u8(w, TAG_PROTOCOL, id->proto);
	writer_spi(w, TAG_SPI, id->spi);
	writer_host(w, TAG_SRC, id->src);
	writer_host(w, TAG_DST, id->dst);
	writer_u8(w, TAG_DIRECTION, inbound ? FEED_IN : FEED_OUT);
	writer_mark(w, TAG_MARK, id->mark);
	if (id->if_id)
	{
		writer_u32(w, TAG_IF_ID, id->if_id);
	}
}

/**
 * Write a list of traffic selectors
 */
static void write_ts_list(writer_t *w, feed_tag_t tag, linked_list_t *list)
{
	enumerator_t *enumerator;
	traffic_selector_t *ts;

	enumerator = list->create_enumerator(list);
	while (enumerator->enumerate(enumerator, &ts))
	{
		writer_ts(w, tag, ts);
	}
	enumerator->destroy(enumerator);
}

/**
 * Write algorithms and keys; charon has numbers of its own for "none"
 */
static void write_algorithms(writer_t *w, kernel_ipsec_add_sa_t *data)
{
	writer_u16(w, TAG_ENCR,
			   data->enc_alg == ENCR_UNDEFINED ? 0 : data->enc_alg);
	if (data->enc_key.len)
	{
		writer_bytes(w, TAG_ENCR_KEY, data->enc_key);
	}
	writer_u16(w, TAG_INTEG,
			   data->int_alg == AUTH_UNDEFINED ? 0 : data->int_alg);
	if (data->int_key.len)
	{
		writer_bytes(w, TAG_INTEG_KEY, data->int_key);
	}
}

/**
 * Convert HW offload modes
 */
static uint8_t hw_offload_number(hw_offload_t mode)
{
	if (COMPAT_HW_OFFLOAD_ON(mode))
	{
		return 1;
	}
	return mode == HW_OFFLOAD_AUTO ? 2 : 0;
}

/**
 * Convert the DSCP copy mode
 */
static uint8_t copy_dscp_number(dscp_copy_t copy)
{
	switch (copy)
	{
		case DSCP_COPY_OUT_ONLY:
			return 0;
		case DSCP_COPY_IN_ONLY:
			return 1;
		case DSCP_COPY_YES:
			return 2;
		case DSCP_COPY_NO:
			break;
	}
	return 3;
}

/*
 * Described in header.
 */
chunk_t message_add_sa(sa_t *sa, announce_t announce)
{
	kernel_ipsec_add_sa_t *data = &sa->data;
	writer_t w;

	writer_init(&w, MSG_ADD_SA);
	writer_u64(&w, TAG_SEQ, sa->seq);
	if (announce == ANNOUNCE_AWAITED)
	{
		writer_flag(&w, TAG_AWAITED);
	}
	write_sa_id(&w, &sa->id, data->inbound);
	writer_u32(&w, TAG_REQID, data->reqid);
	writer_u8(&w, TAG_MODE, data->mode);
	write_algorithms(&w, data);
	writer_lifetime(&w, TAG_LIFETIME, data->lifetime);
	writer_u32(&w, TAG_REPLAY_WINDOW, data->replay_window);
	writer_u8(&w, TAG_ESN, data->esn);
	writer_u8(&w, TAG_ENCAP, data->encap);
	writer_u8(&w, TAG_COPY_DF, data->copy_df);
	writer_u8(&w, TAG_COPY_ECN, data->copy_ecn);
	writer_u8(&w, TAG_COPY_DSCP, copy_dscp_number(data->copy_dscp));
	writer_u32(&w, TAG_TFC, data->tfc);
	writer_u8(&w, TAG_INITIATOR, data->initiator);
	write_ts_list(&w, TAG_SRC_TS, data->src_ts);
	write_ts_list(&w, TAG_DST_TS, data->dst_ts);
	if (data->ipcomp)
	{
		writer_u16(&w, TAG_IPCOMP, data->ipcomp);
	}
	if (data->hw_offload)
	{
		writer_u8(&w, TAG_HW_OFFLOAD, hw_offload_number(data->hw_offload));
	}
	if (data->interface)
	{
		writer_text(&w, TAG_INTERFACE, data->interface);
	}
	if (data->label)
	{
		writer_bytes(&w, TAG_LABEL, data->label->get_encoding(data->label));
	}
	writer_mark(&w, TAG_SET_MARK, data->mark);
	if (COMPAT_SA_CPU(data) != COMPAT_NO_CPU)
	{
		writer_u32(&w, TAG_CPU, COMPAT_SA_CPU(data));
	}
	if (announce == ANNOUNCE_SNAPSHOT)
	{
		writer_u64(&w, TAG_AGE_MS, age_ms(&sa->installed));
	}
	return writer_finish(&w);
}

/*
 * Described in header.
 */
chunk_t message_update_sa(uint64_t seq, kernel_ipsec_sa_id_t *id, bool inbound,
						  kernel_ipsec_update_sa_t *data,
						  announce_t announce)
{
	writer_t w;

	writer_init(&w, MSG_UPDATE_SA);
	writer_u64(&w, TAG_SEQ, seq);
	if (announce == ANNOUNCE_AWAITED)
	{
		writer_flag(&w, TAG_AWAITED);
	}
	write_sa_id(&w, id, inbound);
	writer_host(&w, TAG_NEW_SRC, data->new_src);
	writer_host(&w, TAG_NEW_DST, data->new_dst);
	writer_u8(&w, TAG_ENCAP, data->encap);
	writer_u8(&w, TAG_NEW_ENCAP, data->new_encap);
	if (data->new_reqid)
	{
		writer_u32(&w, TAG_NEW_REQID, data->new_reqid);
	}
	return writer_finish(&w);
}

/*
 * Described in header.
 */
chunk_t message_del_sa(uint64_t seq, kernel_ipsec_sa_id_t *id, bool inbound)
{
	writer_t w;

	writer_init(&w, MSG_DEL_SA);
	writer_u64(&w, TAG_SEQ, seq);
	write_sa_id(&w, id, inbound);
	return writer_finish(&w);
}

/**
 * Convert a policy's direction
 */
static uint8_t direction_number(policy_dir_t dir)
{
	switch (dir)
	{
		case POLICY_IN:
			return FEED_IN;
		case POLICY_OUT:
			return FEED_OUT;
		case POLICY_FWD:
			break;
	}
	return FEED_FWD;
}

/**
 * Convert a policy's type
 */
static uint8_t type_number(policy_type_t type)
{
	switch (type)
	{
		case POLICY_IPSEC:
			return 1;
		case POLICY_PASS:
			return 2;
		case POLICY_DROP:
			break;
	}
	return 3;
}

/**
 * Convert a policy's priority class
 */
static uint8_t priority_number(policy_priority_t prio)
{
	switch (prio)
	{
		case POLICY_PRIORITY_PASS:
			return 0;
		case POLICY_PRIORITY_DEFAULT:
			return 1;
		case POLICY_PRIORITY_ROUTED:
			return 2;
		case POLICY_PRIORITY_FALLBACK:
			break;
	}
	return 3;
}

/**
 * Write a policy's user
 */
static void write_policy(writer_t *w, policy_user_t *user)
{
	kernel_ipsec_policy_id_t *id = &user->policy->id;
	kernel_ipsec_manage_policy_t *data = &user->data;

	writer_u8(w, TAG_DIRECTION, direction_number(id->dir));
	writer_ts(w, TAG_SRC_TS, id->src_ts);
	writer_ts(w, TAG_DST_TS, id->dst_ts);
	writer_mark(w, TAG_MARK, id->mark);
	if (id->if_id)
	{
		writer_u32(w, TAG_IF_ID, id->if_id);
	}
	if (id->interface)
	{
		writer_text(w, TAG_INTERFACE, id->interface);
	}
	if (id->label)
	{
		writer_bytes(w, TAG_LABEL, id->label->get_encoding(id->label));
	}
	writer_u8(w, TAG_POLICY_TYPE, type_number(data->type));
	writer_u8(w, TAG_PRIORITY_CLASS, priority_number(data->prio));
	writer_u32(w, TAG_MANUAL_PRIORITY, data->manual_prio);
	writer_host(w, TAG_SRC, data->src);
	writer_host(w, TAG_DST, data->dst);
	writer_u32(w, TAG_REQID, data->sa->reqid);
	writer_u8(w, TAG_MODE, data->sa->mode);
	writer_spi(w, TAG_ESP_SPI, data->sa->esp.use ? data->sa->esp.spi : 0);
	writer_spi(w, TAG_AH_SPI, data->sa->ah.use ? data->sa->ah.spi : 0);
	if (data->sa->ipcomp.transform)
	{
		writer_u16(w, TAG_IPCOMP, data->sa->ipcomp.transform);
	}
}

/*
 * Described in header.
 */
chunk_t message_add_policy(policy_user_t *user, announce_t announce)
{
	writer_t w;

	writer_init(&w, MSG_ADD_POLICY);
	writer_u64(&w, TAG_SEQ, user->seq);
	if (announce == ANNOUNCE_AWAITED)
	{
		writer_flag(&w, TAG_AWAITED);
	}
	write_policy(&w, user);
	return writer_finish(&w);
}

/*
 * Described in header.
 */
chunk_t message_del_policy(uint64_t seq, policy_user_t *user)
{
	writer_t w;

	writer_init(&w, MSG_DEL_POLICY);
	writer_u64(&w, TAG_SEQ, seq);
	write_policy(&w, user);
	return writer_finish(&w);
}

/*
 * Described in header.
 */
chunk_t message_setup_failed(const char *ike, const char *child,
							 feed_code_t code, const char *reason)
{
	writer_t w;

	writer_init(&w, MSG_SETUP_FAILED);
	writer_text(&w, TAG_IKE_NAME, ike);
	writer_text(&w, TAG_CHILD_NAME, child);
	writer_u16(&w, TAG_CODE, code);
	writer_text(&w, TAG_REASON, reason);
	return writer_finish(&w);
}
