/*
 * The tap: a TAP device on which every packet is seen in clear, as it comes out of its SA or goes into it, each
 * behind an Ethernet header that tells the SA:
 *
 *     source       02:00 | SPI
 *     destination  02:01:00:00:00:00 decapsulated, 02:02:00:00:00:00 to be encapsulated
 *
 * No destination is the device's own address, so the kernel takes every frame for somebody else's: packet sockets
 * see it, and no stack processes it. What the kernel itself sends into the device is never read.
 */
#ifndef LAGOPUS_TAP_H_
#define LAGOPUS_TAP_H_

#include "net.h"

#include <stddef.h>

enum tap_direction {
	TAP_DECAPSULATED = 1,
	TAP_TO_ENCAPSULATE = 2,
};

struct tap;

/* NULL with the reason. */
struct tap *tap_open(const char *name, struct net_error *error);
/* NULL is closed already. */
void tap_close(struct tap *tap);

/* A well-formed packet. False when the device did not take it. */
bool tap_write(struct tap *tap, enum tap_direction direction, uint32_t spi, const uint8_t *packet, size_t length);

#endif
