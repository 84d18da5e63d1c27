/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_reader.h"

/** Length prefix of a frame */
#define PREFIX_LEN 4

/** Tag and length of an attribute */
#define HEADER_LEN 4

/** A set of tags: all of them are below 64 */
#define TAGS(tag) (1ULL << (tag))

/**
 * What a message from the agent consists of
 */
static const struct {
	feed_type_t type;
	uint64_t mandatory;
	uint64_t optional;
	uint64_t repeated;
} messages[] = {
	{ MSG_AGENT_HELLO, TAGS(TAG_VERSION) | TAGS(TAG_SERVER),
	  TAGS(TAG_WANTS_FAILURES) },
	{ MSG_READY, TAGS(TAG_ACK_LATENCY_US), TAGS(TAG_ROUTE_INTERFACE) },
	{ MSG_NOT_READY, TAGS(TAG_REASON) },
	{ MSG_RESULT, TAGS(TAG_SEQ) | TAGS(TAG_CODE),
	  TAGS(TAG_REASON) | TAGS(TAG_SPI) },
	{ MSG_EXPIRE, TAGS(TAG_PROTOCOL) | TAGS(TAG_SPI) | TAGS(TAG_DST) |
	  TAGS(TAG_HARD) },
	{ MSG_ACQUIRE, TAGS(TAG_REQID) | TAGS(TAG_SRC_TS) | TAGS(TAG_DST_TS) },
	{ MSG_MAPPING, TAGS(TAG_PROTOCOL) | TAGS(TAG_SPI) | TAGS(TAG_DST) |
	  TAGS(TAG_NEW_SRC) },
	{ MSG_USAGE, 0, 0, TAGS(TAG_USAGE_ENTRY) },
	{ MSG_POLICY_USAGE, 0, 0, TAGS(TAG_POLICY_USAGE_ENTRY) },
};

/**
 * Length of an address of the given family, 0 if there is no such family
 */
static size_t address_len(u_char family)
{
	switch (family)
	{
		case 4:
			return 4;
		case 6:
			return 16;
		default:
			return 0;
	}
}

/**
 * Length of an encoded traffic selector that starts here, 0 if invalid
 */
static size_t ts_len(chunk_t data)
{
	size_t len = data.len ? address_len(data.ptr[0]) : 0;

	return len && data.len >= 6 + 2 * len ? 6 + 2 * len : 0;
}

/**
 * Check direction (no FWD for SAs) and IP protocol of an entry
 */
static bool is_sa_direction(u_char direction)
{
	return direction == FEED_IN || direction == FEED_OUT;
}

static bool is_protocol(u_char protocol)
{
	return protocol == IPPROTO_ESP || protocol == IPPROTO_AH;
}

/**
 * Check if the value of an attribute an agent may send is valid
 */
static bool is_valid(feed_tag_t tag, chunk_t value)
{
	size_t len;

	switch (tag)
	{
		case TAG_WANTS_FAILURES:
			return value.len == 0;
		case TAG_VERSION:
		case TAG_CODE:
			return value.len == 2;
		case TAG_SPI:
		case TAG_REQID:
		case TAG_ACK_LATENCY_US:
			return value.len == 4;
		case TAG_SEQ:
			return value.len == 8;
		case TAG_PROTOCOL:
			return value.len == 1 && is_protocol(value.ptr[0]);
		case TAG_HARD:
			return value.len == 1 && value.ptr[0] <= 1;
		case TAG_DST:
		case TAG_NEW_SRC:
			len = value.len ? address_len(value.ptr[0]) : 0;
			return len && value.len == 3 + len;
		case TAG_SRC_TS:
		case TAG_DST_TS:
			return value.len && value.len == ts_len(value);
		case TAG_USAGE_ENTRY:
			len = value.len > 6 ? address_len(value.ptr[6]) : 0;
			return len && value.len == 7 + len + 24 &&
				   is_protocol(value.ptr[0]) && is_sa_direction(value.ptr[1]);
		case TAG_POLICY_USAGE_ENTRY:
			if (!value.len || value.ptr[0] < FEED_IN || value.ptr[0] > FEED_FWD)
			{
				return FALSE;
			}
			value = chunk_skip(value, 1);
			len = ts_len(value);
			value = chunk_skip(value, len);
			if (!len || !ts_len(value))
			{
				return FALSE;
			}
			/* mark, interface ID, idle time */
			return value.len == ts_len(value) + 8 + 4 + 8;
		default:
			/* text */
			return TRUE;
	}
}

static bool malformed(reader_error_t *error, size_t offset, const char *what)
{
	error->offset = offset;
	error->what = what;
	return FALSE;
}

/*
 * Described in header.
 */
bool reader_frame(chunk_t stream, chunk_t *frame, reader_error_t *error)
{
	uint32_t len;

	*frame = chunk_empty;
	if (stream.len < PREFIX_LEN)
	{
		return TRUE;
	}
	len = untoh32(stream.ptr);
	if (!len || len > FEED_MAX_LENGTH)
	{
		return malformed(error, 0, "invalid frame length");
	}
	if (stream.len - PREFIX_LEN >= len)
	{
		*frame = chunk_create(stream.ptr, PREFIX_LEN + len);
	}
	return TRUE;
}

/*
 * Described in header.
 */
bool reader_parse(chunk_t frame, feed_message_t *message, reader_error_t *error)
{
	uint64_t known, seen = 0;
	size_t offset = PREFIX_LEN + 1, len;
	uint16_t tag;
	chunk_t value;
	int i;

	*message = (feed_message_t){
		.type = frame.ptr[PREFIX_LEN],
		.body = chunk_skip(frame, PREFIX_LEN),
	};
	for (i = 0; i < countof(messages); i++)
	{
		if (messages[i].type == message->type)
		{
			break;
		}
	}
	if (i == countof(messages))
	{
		return malformed(error, PREFIX_LEN, "unknown message type");
	}
	known = messages[i].mandatory | messages[i].optional | messages[i].repeated;

	for (; offset < frame.len; offset += HEADER_LEN + len)
	{
		if (frame.len - offset < HEADER_LEN)
		{
			return malformed(error, offset, "truncated attribute");
		}
		tag = untoh16(frame.ptr + offset);
		len = untoh16(frame.ptr + offset + 2);
		if (frame.len - offset - HEADER_LEN < len)
		{
			return malformed(error, offset, "attribute longer than its frame");
		}
		if (tag > TAG_MAX || !(known & TAGS(tag)))
		{
			if (tag & FEED_TAG_CRITICAL)
			{
				return malformed(error, offset, "unknown critical attribute");
			}
			continue;
		}
		value = chunk_create(frame.ptr + offset + HEADER_LEN, len);
		if (!is_valid(tag, value))
		{
			return malformed(error, offset, "invalid attribute value");
		}
		if (seen & TAGS(tag))
		{
			if (!(messages[i].repeated & TAGS(tag)))
			{
				return malformed(error, offset, "attribute repeated");
			}
			continue;
		}
		seen |= TAGS(tag);
		message->values[tag] = value;
	}
	if (messages[i].mandatory & ~seen)
	{
		return malformed(error, frame.len, "mandatory attribute missing");
	}
	return TRUE;
}

/*
 * Described in header.
 */
uint64_t message_get_uint(feed_message_t *this, feed_tag_t tag)
{
	chunk_t value = this->values[tag];
	uint64_t result = 0;
	size_t i;

	for (i = 0; i < value.len; i++)
	{
		result = result << 8 | value.ptr[i];
	}
	return result;
}

/*
 * Described in header.
 */
uint32_t message_get_spi(feed_message_t *this, feed_tag_t tag)
{
	return htonl(message_get_uint(this, tag));
}

/*
 * Described in header.
 */
void message_get_text(feed_message_t *this, feed_tag_t tag, char *buf, size_t len)
{
	chunk_t value = this->values[tag];
	size_t i;

	for (i = 0; i < value.len && i + 1 < len; i++)
	{
		buf[i] = value.ptr[i] >= ' ' && value.ptr[i] < 0x7f ? value.ptr[i] : '?';
	}
	buf[i] = '\0';
}

/**
 * Address of the given family at this position
 */
static host_t *create_host(u_char family, u_char *address, uint16_t port)
{
	return host_create_from_chunk(family == 4 ? AF_INET : AF_INET6,
						chunk_create(address, address_len(family)), port);
}

/*
 * Described in header.
 */
host_t *message_get_host(feed_message_t *this, feed_tag_t tag)
{
	u_char *pos = this->values[tag].ptr;

	return pos ? create_host(pos[0], pos + 3, untoh16(pos + 1)) : NULL;
}

/**
 * Traffic selector at this position
 */
static traffic_selector_t *create_ts(u_char *pos)
{
	size_t len = address_len(pos[0]);

	return traffic_selector_create_from_bytes(pos[1],
						len == 4 ? TS_IPV4_ADDR_RANGE : TS_IPV6_ADDR_RANGE,
						chunk_create(pos + 6, len), untoh16(pos + 2),
						chunk_create(pos + 6 + len, len), untoh16(pos + 4));
}

/*
 * Described in header.
 */
traffic_selector_t *message_get_ts(feed_message_t *this, feed_tag_t tag)
{
	u_char *pos = this->values[tag].ptr;

	return pos ? create_ts(pos) : NULL;
}

/**
 * Find the next attribute with the given tag in a message that was checked,
 * offset is 0 at first
 */
static u_char *next_value(feed_message_t *this, feed_tag_t tag, size_t *offset)
{
	u_char *pos, *found = NULL;

	*offset = *offset ?: 1;
	while (!found && *offset < this->body.len)
	{
		pos = this->body.ptr + *offset;
		if (untoh16(pos) == tag)
		{
			found = pos + HEADER_LEN;
		}
		*offset += HEADER_LEN + untoh16(pos + 2);
	}
	return found;
}

/*
 * Described in header.
 */
bool message_next_usage(feed_message_t *this, size_t *offset, usage_entry_t *entry)
{
	u_char *pos = next_value(this, TAG_USAGE_ENTRY, offset);

	if (!pos)
	{
		return FALSE;
	}
	*entry = (usage_entry_t){
		.protocol = pos[0],
		.direction = pos[1],
		.dst = create_host(pos[6], pos + 7, 0),
	};
	memcpy(&entry->spi, pos + 2, sizeof(entry->spi));
	pos += 7 + address_len(pos[6]);
	entry->bytes = untoh64(pos);
	entry->packets = untoh64(pos + 8);
	entry->idle_ms = untoh64(pos + 16);
	return TRUE;
}

/*
 * Described in header.
 */
bool message_next_policy_usage(feed_message_t *this, size_t *offset,
							   policy_usage_entry_t *entry)
{
	u_char *pos = next_value(this, TAG_POLICY_USAGE_ENTRY, offset);
	size_t len;

	if (!pos)
	{
		return FALSE;
	}
	entry->direction = pos[0];
	pos++;
	len = 6 + 2 * address_len(pos[0]);
	entry->src_ts = create_ts(pos);
	pos += len;
	len = 6 + 2 * address_len(pos[0]);
	entry->dst_ts = create_ts(pos);
	pos += len;
	entry->mark.value = untoh32(pos);
	entry->mark.mask = untoh32(pos + 4);
	entry->if_id = untoh32(pos + 8);
	entry->idle_ms = untoh64(pos + 12);
	return TRUE;
}
