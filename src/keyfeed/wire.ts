/** The numbers of the protocol (docs/design/keyfeed.md). */

/** What this side speaks. */
export const PROTOCOL_VERSION = 1;

/** Of a frame's type and attributes together. */
export const FRAME_LIMIT_BYTES = 1 << 20;

/** From the plugin to the agent: below 64. */
export const PLUGIN_MESSAGE = {
  hello: 1,
  'snapshot-begin': 2,
  'snapshot-end': 3,
  error: 4,
  'get-spi': 5,
  'add-sa': 6,
  'update-sa': 7,
  'del-sa': 8,
  'add-policy': 9,
  'del-policy': 10,
  'flush-sas': 11,
  'flush-policies': 12,
  probe: 13,
  'setup-failed': 14,
} as const;

/** From the agent to the plugin. */
export const AGENT_MESSAGE = {
  'agent-hello': 64,
  ready: 65,
  'not-ready': 66,
  result: 67,
  expire: 68,
  acquire: 69,
  mapping: 70,
  usage: 71,
  'policy-usage': 72,
} as const;

/** Set in a tag that a receiver must not skip when it does not know it. */
export const CRITICAL_BIT = 0x8000;

/** The values of one-byte attributes by their names here; 0 to 255. */
export type CodeTable<Name extends string> = Readonly<Record<Name, number>>;

export const PROTOCOL = { esp: 50, ah: 51 } as const;
export const SA_DIRECTION = { inbound: 1, outbound: 2 } as const;
export const POLICY_DIRECTION = { inbound: 1, outbound: 2, forward: 3 } as const;
export const MODE = { transport: 1, tunnel: 2, beet: 3 } as const;
export const COPY_DSCP = { 'out-only': 0, 'in-only': 1, yes: 2, no: 3 } as const;
export const HW_OFFLOAD = { no: 0, yes: 1, auto: 2 } as const;
export const POLICY_TYPE = { ipsec: 1, pass: 2, drop: 3 } as const;
export const PRIORITY_CLASS = { pass: 0, default: 1, routed: 2, fallback: 3 } as const;

export const RESULT_CODE = {
  ok: 0,
  refused: 1,
  'try-again': 2,
  malformed: 3,
  unsupported: 4,
  busy: 5,
  internal: 6,
  overflow: 7,
} as const;

/** Why a request or a connection failed, or `ok`. */
export type ResultCode = keyof typeof RESULT_CODE;
