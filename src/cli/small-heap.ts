import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 look for garbage when the heap has grown by two fifths; it would let it grow to several times
 * what is in use first. Its other half, the size of the young generation, is in bin/ipsec-agent:
 * Node takes it at its start only. A V8 that does not know the flag says so and goes on.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=40');
}
