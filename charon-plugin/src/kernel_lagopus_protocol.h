/* SPDX-License-Identifier: GPL-2.0-or-later */

/**
 * @defgroup kernel_lagopus_protocol kernel_lagopus_protocol
 * @{ @ingroup kernel_lagopus
 *
 * The numbers of the key feed, version 1: docs/design/keyfeed.md is their
 * definition.
 */

#ifndef KERNEL_LAGOPUS_PROTOCOL_H_
#define KERNEL_LAGOPUS_PROTOCOL_H_

#define FEED_VERSION 1

/** Upper limit of a frame's length field (type and attributes) */
#define FEED_MAX_LENGTH (1024 * 1024)

/** An unknown attribute with this bit in its tag makes a frame malformed */
#define FEED_TAG_CRITICAL 0x8000

/** Idle time of something never used */
#define FEED_NEVER_USED UINT64_MAX

/**
 * Message types, below 64 from the plugin to the agent
 */
typedef enum {
	MSG_HELLO = 1,
	MSG_SNAPSHOT_BEGIN = 2,
	MSG_SNAPSHOT_END = 3,
	MSG_ERROR = 4,
	MSG_GET_SPI = 5,
	MSG_ADD_SA = 6,
	MSG_UPDATE_SA = 7,
	MSG_DEL_SA = 8,
	MSG_ADD_POLICY = 9,
	MSG_DEL_POLICY = 10,
	MSG_FLUSH_SAS = 11,
	MSG_FLUSH_POLICIES = 12,
	MSG_PROBE = 13,
	MSG_SETUP_FAILED = 14,
	MSG_AGENT_HELLO = 64,
	MSG_READY = 65,
	MSG_NOT_READY = 66,
	MSG_RESULT = 67,
	MSG_EXPIRE = 68,
	MSG_ACQUIRE = 69,
	MSG_MAPPING = 70,
	MSG_USAGE = 71,
	MSG_POLICY_USAGE = 72,
} feed_type_t;

/**
 * Attribute tags
 */
typedef enum {
	TAG_VERSION = 1,
	TAG_INSTANCE = 2,
	TAG_SERVER = 3,
	TAG_DEADLINE_MS = 4,
	TAG_SEQ = 5,
	TAG_COUNT = 6,
	TAG_AWAITED = 7,
	TAG_CODE = 8,
	TAG_REASON = 9,
	TAG_PROTOCOL = 10,
	TAG_SPI = 11,
	TAG_SRC = 12,
	TAG_DST = 13,
	TAG_DIRECTION = 14,
	TAG_MARK = 15,
	TAG_IF_ID = 16,
	TAG_REQID = 17,
	TAG_MODE = 18,
	TAG_ENCR = 19,
	TAG_ENCR_KEY = 20,
	TAG_INTEG = 21,
	TAG_INTEG_KEY = 22,
	TAG_LIFETIME = 23,
	TAG_REPLAY_WINDOW = 24,
	TAG_ESN = 25,
	TAG_ENCAP = 26,
	TAG_COPY_DF = 27,
	TAG_COPY_ECN = 28,
	TAG_COPY_DSCP = 29,
	TAG_TFC = 30,
	TAG_INITIATOR = 31,
	TAG_SRC_TS = 32,
	TAG_DST_TS = 33,
	TAG_IPCOMP = 34,
	TAG_HW_OFFLOAD = 35,
	TAG_INTERFACE = 36,
	TAG_LABEL = 37,
	TAG_SET_MARK = 38,
	TAG_CPU = 39,
	TAG_AGE_MS = 40,
	TAG_NEW_SRC = 41,
	TAG_NEW_DST = 42,
	TAG_NEW_ENCAP = 43,
	TAG_NEW_REQID = 44,
	TAG_POLICY_TYPE = 45,
	TAG_PRIORITY_CLASS = 46,
	TAG_MANUAL_PRIORITY = 47,
	TAG_ESP_SPI = 48,
	TAG_AH_SPI = 49,
	TAG_ROUTE_INTERFACE = 50,
	TAG_ACK_LATENCY_US = 51,
	TAG_HARD = 52,
	TAG_USAGE_ENTRY = 53,
	TAG_POLICY_USAGE_ENTRY = 54,
	TAG_WANTS_FAILURES = 55,
	TAG_IKE_NAME = 56,
	TAG_CHILD_NAME = 57,
	TAG_MAX = TAG_CHILD_NAME,
} feed_tag_t;

/**
 * Result codes
 */
typedef enum {
	CODE_OK = 0,
	CODE_REFUSED = 1,
	CODE_TRY_AGAIN = 2,
	CODE_MALFORMED = 3,
	CODE_VERSION = 4,
	CODE_BUSY = 5,
	CODE_INTERNAL = 6,
	CODE_OVERFLOW = 7,
} feed_code_t;

/**
 * Directions of SAs and policies
 */
typedef enum {
	FEED_IN = 1,
	FEED_OUT = 2,
	FEED_FWD = 3,
} feed_direction_t;

#endif /** KERNEL_LAGOPUS_PROTOCOL_H_ @}*/
