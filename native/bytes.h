/* Unaligned big-endian access. */
#ifndef LAGOPUS_BYTES_H_
#define LAGOPUS_BYTES_H_

#include <stdint.h>
#include <string.h>

static inline uint16_t get16(const uint8_t *p)
{
	uint16_t value;

	memcpy(&value, p, sizeof(value));
	return __builtin_bswap16(value);
}

static inline uint32_t get32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return __builtin_bswap32(value);
}

static inline uint64_t get64(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return __builtin_bswap64(value);
}

static inline void put16(uint8_t *p, uint16_t value)
{
	value = __builtin_bswap16(value);
	memcpy(p, &value, sizeof(value));
}

static inline void put32(uint8_t *p, uint32_t value)
{
	value = __builtin_bswap32(value);
	memcpy(p, &value, sizeof(value));
}

static inline void put64(uint8_t *p, uint64_t value)
{
	value = __builtin_bswap64(value);
	memcpy(p, &value, sizeof(value));
}

#endif
