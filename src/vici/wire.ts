/** The numbers of VICI (strongSwan, src/libcharon/plugins/vici/README.md). */

/** Of one segment, its length field not counted: charon drops what is longer. */
export const SEGMENT_LIMIT_BYTES = 512 * 1024;

/** charon has no limit of its own. What it really sends is 5 deep. */
export const NESTING_LIMIT = 64;

export const PACKET_TYPE = {
  'command-request': 0,
  'command-response': 1,
  'command-unknown': 2,
  'event-register': 3,
  'event-unregister': 4,
  'event-confirm': 5,
  'event-unknown': 6,
  event: 7,
} as const;

export const ELEMENT_TYPE = {
  'section-start': 1,
  'section-end': 2,
  'key-value': 3,
  'list-start': 4,
  'list-item': 5,
  'list-end': 6,
} as const;

export const NAME_LIMIT_BYTES = 0xff;
export const VALUE_LIMIT_BYTES = 0xffff;
