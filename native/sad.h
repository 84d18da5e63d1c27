/*
 * The SAs of one engine: by handle for JavaScript, and the inbound ones by SPI, destination and protocol
 * for packets (RFC 4301, 4.1). The hash is over the SPI alone: an SA may change its addresses in place.
 */
#ifndef LAGOPUS_SAD_H_
#define LAGOPUS_SAD_H_

#include "sa.h"
#include "slots.h"

struct sad {
	struct slots handles;
	/* Chained hash of inbound SAs; a power of two buckets. */
	struct sa **buckets;
	uint32_t bucket_count;
	uint32_t inbound_count;
};

/* Takes the SA over and sets its handle. False without memory. */
bool sad_add(struct sad *sad, struct sa *sa);
struct sa *sad_get(const struct sad *sad, uint32_t handle);
struct sa *sad_find_inbound(const struct sad *sad, uint8_t protocol, uint32_t spi,
	const struct address *destination);
/* Wipes and frees it. */
void sad_remove(struct sad *sad, struct sa *sa);
void sad_clear(struct sad *sad);

#endif
