/* Records on stdin and stdout: a big-endian 32-bit length and that many bytes. */
#ifndef LAGOPUS_TEST_RECORDS_H_
#define LAGOPUS_TEST_RECORDS_H_

#include "../../native/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

static inline void put_record(const struct iovec *parts, int count)
{
	uint8_t header[4];
	size_t total = 0;
	int i;

	for (i = 0; i < count; i++) {
		total += parts[i].iov_len;
	}
	put32(header, (uint32_t)total);
	fwrite(header, 1, sizeof(header), stdout);
	for (i = 0; i < count; i++) {
		fwrite(parts[i].iov_base, 1, parts[i].iov_len, stdout);
	}
}

/* In a block of exactly its size, so that the sanitizer sees every byte read beyond it. NULL at the end. */
static inline uint8_t *get_record(size_t *length)
{
	uint8_t header[4], *bytes;

	if (fread(header, 1, sizeof(header), stdin) != sizeof(header)) {
		return NULL;
	}
	*length = get32(header);
	bytes = malloc(*length ? *length : 1);
	if (!bytes || fread(bytes, 1, *length, stdin) != *length) {
		abort();
	}
	return bytes;
}

#endif
