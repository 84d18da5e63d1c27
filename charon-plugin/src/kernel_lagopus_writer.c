/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_writer.h"

/** Enough for every message but those with many traffic selectors */
#define INITIAL_CAPACITY 512

/** Length prefix of a frame */
#define PREFIX_LEN 4

/** Tag and length of an attribute */
#define HEADER_LEN 4

/**
 * Make room for len more bytes and return where they go
 */
static u_char *extend(writer_t *this, size_t len)
{
	u_char *pos;

	if (this->used + len > this->buf.len)
	{	/* no realloc(): the old bytes may be keys */
		chunk_t larger = chunk_alloc(max(this->buf.len * 2, this->used + len));

		memcpy(larger.ptr, this->buf.ptr, this->used);
		chunk_clear(&this->buf);
		this->buf = larger;
	}
	pos = this->buf.ptr + this->used;
	this->used += len;
	return pos;
}

/**
 * Add an attribute's header, return where its value goes
 */
static u_char *attribute(writer_t *this, feed_tag_t tag, size_t len)
{
	u_char *pos = extend(this, HEADER_LEN + len);

	htoun16(pos, tag);
	htoun16(pos + 2, len);
	return pos + HEADER_LEN;
}

/*
 * Described in header.
 */
void writer_init(writer_t *this, feed_type_t type)
{
	*this = (writer_t){
		.buf = chunk_alloc(INITIAL_CAPACITY),
		.used = PREFIX_LEN,
	};
	*extend(this, 1) = type;
}

/*
 * Described in header.
 */
void writer_flag(writer_t *this, feed_tag_t tag)
{
	attribute(this, tag, 0);
}

/*
 * Described in header.
 */
void writer_u8(writer_t *this, feed_tag_t tag, uint8_t value)
{
	*attribute(this, tag, sizeof(value)) = value;
}

/*
 * Described in header.
 */
void writer_u16(writer_t *this, feed_tag_t tag, uint16_t value)
{
	htoun16(attribute(this, tag, sizeof(value)), value);
}

/*
 * Described in header.
 */
void writer_u32(writer_t *this, feed_tag_t tag, uint32_t value)
{
	htoun32(attribute(this, tag, sizeof(value)), value);
}

/*
 * Described in header.
 */
void writer_u64(writer_t *this, feed_tag_t tag, uint64_t value)
{
	htoun64(attribute(this, tag, sizeof(value)), value);
}

/*
 * Described in header.
 */
void writer_bytes(writer_t *this, feed_tag_t tag, chunk_t value)
{
	size_t len = min(value.len, UINT16_MAX);
	u_char *pos = attribute(this, tag, len);

	if (len)
	{
		memcpy(pos, value.ptr, len);
	}
}

/*
 * Described in header.
 */
void writer_text(writer_t *this, feed_tag_t tag, const char *value)
{
	writer_bytes(this, tag, chunk_create((u_char*)value, strlen(value)));
}

/*
 * Described in header.
 */
void writer_spi(writer_t *this, feed_tag_t tag, uint32_t spi)
{
	writer_u32(this, tag, ntohl(spi));
}

/*
 * Described in header.
 */
void writer_host(writer_t *this, feed_tag_t tag, host_t *host)
{
	chunk_t address = host->get_address(host);
	u_char *pos = attribute(this, tag, 3 + address.len);

	pos[0] = address.len == 4 ? 4 : 6;
	htoun16(pos + 1, host->get_port(host));
	memcpy(pos + 3, address.ptr, address.len);
}

/*
 * Described in header.
 */
void writer_ts(writer_t *this, feed_tag_t tag, traffic_selector_t *ts)
{
	chunk_t from = ts->get_from_address(ts), to = ts->get_to_address(ts);
	u_char *pos = attribute(this, tag, 6 + from.len + to.len);

	pos[0] = from.len == 4 ? 4 : 6;
	pos[1] = ts->get_protocol(ts);
	htoun16(pos + 2, ts->get_from_port(ts));
	htoun16(pos + 4, ts->get_to_port(ts));
	memcpy(pos + 6, from.ptr, from.len);
	memcpy(pos + 6 + from.len, to.ptr, to.len);
}

/*
 * Described in header.
 */
void writer_mark(writer_t *this, feed_tag_t tag, mark_t mark)
{
	u_char *pos;

	if (mark.value || mark.mask)
	{
		pos = attribute(this, tag, 8);
		htoun32(pos, mark.value);
		htoun32(pos + 4, mark.mask);
	}
}

/*
 * Described in header.
 */
void writer_lifetime(writer_t *this, feed_tag_t tag, lifetime_cfg_t *lifetime)
{
	u_char *pos = attribute(this, tag, 6 * sizeof(uint64_t));

	htoun64(pos, lifetime->time.rekey);
	htoun64(pos + 8, lifetime->time.life);
	htoun64(pos + 16, lifetime->bytes.rekey);
	htoun64(pos + 24, lifetime->bytes.life);
	htoun64(pos + 32, lifetime->packets.rekey);
	htoun64(pos + 40, lifetime->packets.life);
}

/*
 * Described in header.
 */
chunk_t writer_finish(writer_t *this)
{
	chunk_t frame = chunk_create(this->buf.ptr, this->used);

	htoun32(frame.ptr, this->used - PREFIX_LEN);
	this->buf = chunk_empty;
	this->used = 0;
	return frame;
}
