/** Numbers of RFC 2367, of its KAME extensions for policies, and of Linux's for NAT traversal. */

export const PF_KEY_V2 = 2;

export const MessageType = {
  getspi: 1,
  update: 2,
  add: 3,
  delete: 4,
  get: 5,
  acquire: 6,
  register: 7,
  expire: 8,
  dump: 10,
  spdUpdate: 13,
  spdAdd: 14,
  spdDelete: 15,
  spdGet: 16,
} as const;

export const ExtensionType = {
  sa: 1,
  lifetimeCurrent: 2,
  lifetimeHard: 3,
  lifetimeSoft: 4,
  addressSource: 5,
  addressDestination: 6,
  keyAuth: 8,
  keyEncrypt: 9,
  supportedAuth: 14,
  supportedEncrypt: 15,
  policy: 18,
  natType: 20,
  natSourcePort: 21,
  natDestinationPort: 22,
} as const;

export const SATYPE_ESP = 3;

export const SaState = { larval: 0, mature: 1, dying: 2, dead: 3 } as const;

/** IPSEC_POLICY_*: what a policy does. */
export const PolicyType = { discard: 0, protect: 2, bypass: 4 } as const;

/** IPSEC_DIR_* */
export const PolicyDirection = { inbound: 1, outbound: 2 } as const;

export const IPPROTO_ESP = 50;
/** IPSEC_PROTO_ANY: a selector with 0 would select IP's protocol 0 alone. */
export const IPSEC_PROTO_ANY = 255;
export const IPSEC_MODE_TUNNEL = 2;
export const IPSEC_LEVEL_REQUIRE = 2;
export const AF_INET = 2;
/** UDP_ENCAP_ESPINUDP */
export const NAT_TYPE_ESP_IN_UDP = 2;

export const HEADER_BYTES = 16;
/** Lengths on the wire count these. */
export const UNIT_BYTES = 8;

/** What vsw's answers say in `errno`. */
export const Errno = { ENOENT: 2, EEXIST: 17, EINVAL: 22 } as const;
