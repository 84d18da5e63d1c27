/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_messages kernel_lagopus_messages
 * @{ @ingroup kernel_lagopus
 *
 * The plugin's messages. Each function returns a frame that may hold keys, to
 * be released with chunk_clear().
 */

#ifndef KERNEL_LAGOPUS_MESSAGES_H_
#define KERNEL_LAGOPUS_MESSAGES_H_

#include "kernel_lagopus_sad.h"
#include "kernel_lagopus_spd.h"

/**
 * How an entry is announced
 */
typedef enum {
	/** the agent has to answer */
	ANNOUNCE_AWAITED,
	/** it happened */
	ANNOUNCE_DONE,
	/** it is part of a snapshot */
	ANNOUNCE_SNAPSHOT,
} announce_t;

/**
 * HELLO.
 *
 * @param instance		identity of this charon
 * @param deadline_ms	how long requests are waited for
 * @param started		when this charon started (monotonic)
 */
chunk_t message_hello(chunk_t instance, uint32_t deadline_ms,
					  timeval_t *started);

/**
 * SNAPSHOT_BEGIN.
 */
chunk_t message_snapshot_begin(uint64_t seq);

/**
 * SNAPSHOT_END.
 *
 * @param count			number of messages in between
 */
chunk_t message_snapshot_end(uint64_t seq, uint32_t count);

/**
 * ERROR.
 */
chunk_t message_error(feed_code_t code, const char *reason);

/**
 * A message without parameters: FLUSH_SAS, FLUSH_POLICIES, PROBE.
 */
chunk_t message_plain(feed_type_t type, uint64_t seq, bool awaited);

/**
 * GET_SPI.
 */
chunk_t message_get_spi_request(uint64_t seq, uint8_t protocol, host_t *src,
								host_t *dst);

/**
 * ADD_SA, numbered as the SA is.
 */
chunk_t message_add_sa(sa_t *sa, announce_t announce);

/**
 * UPDATE_SA: move an SA.
 *
 * @param id			SA where it is now
 * @param inbound		its direction
 * @param data			where it goes
 * @param announce		ANNOUNCE_DONE if it is there whatever the agent says
 */
chunk_t message_update_sa(uint64_t seq, kernel_ipsec_sa_id_t *id, bool inbound,
						  kernel_ipsec_update_sa_t *data,
						  announce_t announce);

/**
 * DEL_SA.
 */
chunk_t message_del_sa(uint64_t seq, kernel_ipsec_sa_id_t *id, bool inbound);

/**
 * ADD_POLICY, numbered as the user is.
 */
chunk_t message_add_policy(policy_user_t *user, announce_t announce);

/**
 * DEL_POLICY.
 */
chunk_t message_del_policy(uint64_t seq, policy_user_t *user);

/**
 * SETUP_FAILED.
 *
 * @param ike			name of the IKE_SA
 * @param child			name of the CHILD_SA
 */
chunk_t message_setup_failed(const char *ike, const char *child,
							 feed_code_t code, const char *reason);

#endif /** KERNEL_LAGOPUS_MESSAGES_H_ @}*/
