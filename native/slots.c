#include "slots.h"

#include <stdlib.h>

#define INDEX_MASK (SLOTS_MAX - 1)
#define GENERATIONS (UINT32_MAX >> SLOTS_INDEX_BITS)
#define END UINT32_MAX

static bool grow(struct slots *slots)
{
	uint32_t capacity = slots->capacity ? slots->capacity * 2 : 64, i;
	struct slot *items;

	if (capacity > SLOTS_MAX) {
		return false;
	}
	items = realloc(slots->items, capacity * sizeof(*items));
	if (!items) {
		return false;
	}
	for (i = slots->capacity; i < capacity; i++) {
		items[i] = (struct slot){ .generation = 1, .next_free = i + 1 < capacity ? i + 1 : END };
	}
	slots->first_free = slots->capacity;
	slots->items = items;
	slots->capacity = capacity;
	return true;
}

uint32_t slots_add(struct slots *slots, void *object)
{
	uint32_t index;

	if (slots->used == slots->capacity && !grow(slots)) {
		return SLOTS_NONE;
	}
	index = slots->first_free;
	slots->first_free = slots->items[index].next_free;
	slots->items[index].object = object;
	slots->used++;
	return slots->items[index].generation << SLOTS_INDEX_BITS | index;
}

void *slots_get(const struct slots *slots, uint32_t handle)
{
	uint32_t index = handle & INDEX_MASK;

	if (index >= slots->capacity || slots->items[index].generation != handle >> SLOTS_INDEX_BITS) {
		return NULL;
	}
	return slots->items[index].object;
}

void *slots_remove(struct slots *slots, uint32_t handle)
{
	struct slot *slot = &slots->items[handle & INDEX_MASK];
	void *object = slots_get(slots, handle);

	if (object) {
		slot->object = NULL;
		slot->generation = slot->generation % GENERATIONS + 1;
		slot->next_free = slots->first_free;
		slots->first_free = handle & INDEX_MASK;
		slots->used--;
	}
	return object;
}

void slots_clear(struct slots *slots, void (*destroy)(void *object))
{
	uint32_t i;

	for (i = 0; i < slots->capacity; i++) {
		if (slots->items[i].object) {
			destroy(slots->items[i].object);
		}
	}
	free(slots->items);
	*slots = (struct slots){ 0 };
}
