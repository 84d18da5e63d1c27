import { join } from 'node:path';

/** The clone's root folder. */
export const ROOT: string = join(import.meta.dirname, '..', '..');

/** A path inside the clone. */
export function inRepository(...parts: readonly string[]): string {
  return join(ROOT, ...parts);
}
