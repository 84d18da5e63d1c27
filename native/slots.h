/*
 * Handles for objects that JavaScript names by a number. A handle carries the generation of its slot,
 * so that one that was removed is recognized and never reaches another object.
 */
#ifndef LAGOPUS_SLOTS_H_
#define LAGOPUS_SLOTS_H_

#include <stdbool.h>
#include <stdint.h>

/* No handle is ever 0. */
#define SLOTS_NONE 0
#define SLOTS_INDEX_BITS 20
#define SLOTS_MAX (1u << SLOTS_INDEX_BITS)

struct slot {
	void *object;
	uint32_t generation;
	uint32_t next_free;
};

struct slots {
	struct slot *items;
	uint32_t capacity;
	uint32_t used;
	uint32_t first_free;
};

/* SLOTS_NONE without memory or with SLOTS_MAX objects. */
uint32_t slots_add(struct slots *slots, void *object);
/* NULL for a handle that is not in use. */
void *slots_get(const struct slots *slots, uint32_t handle);
void *slots_remove(struct slots *slots, uint32_t handle);
/* Calls `destroy` for every object and frees the table. */
void slots_clear(struct slots *slots, void (*destroy)(void *object));

#endif
