/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Feeds the plugin's reader with frames that are almost right: a frame of each
 * message the agent sends, cut at every length, with bytes changed at random,
 * and in random chunks. Built with sanitizers, every frame in memory of just
 * its size. Prints how many frames were accepted and refused.
 *
 * usage: reader-fuzz SEED ROUNDS
 */

#include <library.h>

#include "kernel_lagopus_reader.h"
#include "kernel_lagopus_writer.h"

#define PREFIX_LEN 4

static u_int accepted, refused;

/**
 * Read everything a message has to offer
 */
static void use_message(feed_message_t *message)
{
	policy_usage_entry_t policy;
	usage_entry_t usage;
	char text[16];
	size_t offset = 0;
	host_t *host;
	traffic_selector_t *ts;
	int tag;

	for (tag = 1; tag <= TAG_MAX; tag++)
	{
		if (message->values[tag].len <= sizeof(uint64_t))
		{
			message_get_uint(message, tag);
		}
		message_get_text(message, tag, text, sizeof(text));
	}
	host = message_get_host(message, TAG_DST);
	DESTROY_IF(host);
	host = message_get_host(message, TAG_NEW_SRC);
	DESTROY_IF(host);
	ts = message_get_ts(message, TAG_SRC_TS);
	DESTROY_IF(ts);
	ts = message_get_ts(message, TAG_DST_TS);
	DESTROY_IF(ts);
	while (message->type == MSG_USAGE &&
		   message_next_usage(message, &offset, &usage))
	{
		usage.dst->destroy(usage.dst);
	}
	while (message->type == MSG_POLICY_USAGE &&
		   message_next_policy_usage(message, &offset, &policy))
	{
		policy.src_ts->destroy(policy.src_ts);
		policy.dst_ts->destroy(policy.dst_ts);
	}
}

/**
 * Parse a frame in memory of its own
 */
static void parse(chunk_t bytes)
{
	chunk_t stream = chunk_clone(bytes), frame;
	reader_error_t error = {};
	feed_message_t message;

	if (!reader_frame(stream, &frame, &error))
	{
		refused++;
	}
	else if (frame.len)
	{
		if (reader_parse(frame, &message, &error))
		{
			accepted++;
			use_message(&message);
		}
		else if (error.what && error.offset <= frame.len)
		{
			refused++;
		}
		else
		{
			fprintf(stderr, "refused without a reason or beyond its end\n");
			abort();
		}
	}
	chunk_free(&stream);
}

/**
 * Add an attribute of the given length with random bytes, valid more often
 * than not
 */
static void add_random(writer_t *w, feed_tag_t tag)
{
	static const uint16_t lengths[] = { 0, 1, 2, 4, 8, 7, 19, 14, 38, 35, 47 };
	u_char value[64];
	size_t i, len = lengths[random() % countof(lengths)];

	for (i = 0; i < len; i++)
	{
		value[i] = random();
	}
	value[0] = random() % 2 ? 50 : 1 + random() % 6;
	value[1] = 1 + random() % 2;
	value[6] = random() % 2 ? 4 : 6;
	writer_bytes(w, tag, chunk_create(value, len));
}

/**
 * A frame with the attributes its type may have, and some it may not
 */
static chunk_t create_frame()
{
	writer_t w;
	int count = random() % 8;

	writer_init(&w, 60 + random() % 16);
	if (random() % 2)
	{
		writer_u64(&w, TAG_SEQ, random());
		writer_u16(&w, TAG_CODE, random() % 8);
		writer_u32(&w, TAG_ACK_LATENCY_US, random());
		writer_text(&w, TAG_REASON, "some reason");
	}
	while (count--)
	{
		add_random(&w, random() % 4 ? 50 + random() % 8 : random() % 70);
	}
	return writer_finish(&w);
}

int main(int argc, char *argv[])
{
	chunk_t frame, part;
	u_int rounds, i;

	if (argc != 3 || !library_init(NULL, "reader-fuzz"))
	{
		return 1;
	}
	srandom(atoi(argv[1]));
	for (rounds = atoi(argv[2]); rounds; rounds--)
	{
		frame = create_frame();
		parse(frame);
		for (part = frame; part.len > PREFIX_LEN + 1; part.len--)
		{	/* as a stream that ends there, and as a frame that does */
			parse(part);
			htoun32(part.ptr, part.len - PREFIX_LEN);
			parse(part);
		}
		htoun32(frame.ptr, frame.len - PREFIX_LEN);
		for (i = 0; i < 20; i++)
		{
			frame.ptr[random() % frame.len] = random();
			parse(frame);
		}
		chunk_clear(&frame);
	}
	printf("%u accepted, %u refused\n", accepted, refused);
	library_deinit();
	return 0;
}
