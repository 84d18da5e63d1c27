import { z } from 'zod';
import type { Mark } from '../sad/index.ts';

const u32 = z.int().min(0).max(0xffffffff);

/** Without a mask the whole mark has to be equal. */
const mark = z
  .strictObject({ value: u32, mask: u32.min(1).default(0xffffffff) })
  .refine(({ value, mask: bits }) => (value & ~bits) === 0, 'the value has bits that the mask has not');

/**
 * An entry of `vrfRules`: which SAs and policies belong to which inner VRF. Every message about an SA or
 * policy has what may be asked for here, and it never changes.
 */
export const vrfRuleSchema = z
  .strictObject({
    ifId: u32.min(1).optional(),
    mark: mark.optional(),
    vrf: z.string().regex(/^\S{1,64}$/, 'expected a name of 1 to 64 characters without spaces'),
  })
  .refine((rule) => rule.ifId !== undefined || rule.mark !== undefined, 'expected an ifId, a mark, or both');

export type VrfRule = z.output<typeof vrfRuleSchema>;

/** What a rule may look at. */
export type VrfSelector = { readonly ifId?: number | undefined; readonly mark?: Mark | undefined };

/** The inner VRF of an SA or policy; undefined is the default one. */
export type VrfOf = (selector: VrfSelector) => string | undefined;

function isSameMark(a: Mark, b: Mark | undefined): boolean {
  return b !== undefined && a.mask === b.mask && a.value === (b.value & b.mask) >>> 0;
}

function matches(rule: VrfRule, { ifId, mark: own }: VrfSelector): boolean {
  if (rule.ifId !== undefined && rule.ifId !== ifId) return false;
  return rule.mark === undefined || isSameMark(rule.mark, own);
}

/** The first rule that matches decides. */
export function createVrfOf(rules: readonly VrfRule[]): VrfOf {
  return (selector) => rules.find((rule) => matches(rule, selector))?.vrf;
}
