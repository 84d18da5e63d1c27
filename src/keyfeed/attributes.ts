import {
  bytes,
  empty,
  flag,
  host,
  instance,
  lifetimes,
  mark,
  name,
  policyUsageEntry,
  secret,
  text,
  trafficSelector,
  u8Code,
  u16,
  u16Code,
  u32,
  u64,
  usageEntry,
  type ValueCodec,
} from './values.ts';
import {
  COPY_DSCP,
  HW_OFFLOAD,
  MODE,
  POLICY_DIRECTION,
  POLICY_TYPE,
  PRIORITY_CLASS,
  PROTOCOL,
  RESULT_CODE,
  SA_DIRECTION,
} from './wire.ts';

/** What one tag means. */
export type Attribute<T> = {
  readonly name: string;
  readonly tag: number;
  readonly codec: ValueCodec<T>;
};

function attribute<T>(name: string, tag: number, codec: ValueCodec<T>): Attribute<T> {
  return { name, tag, codec };
}

export const VERSION = attribute('VERSION', 1, u16);
export const INSTANCE = attribute('INSTANCE', 2, instance);
export const SERVER = attribute('SERVER', 3, text);
export const DEADLINE_MS = attribute('DEADLINE_MS', 4, u32);
export const SEQ = attribute('SEQ', 5, u64);
export const COUNT = attribute('COUNT', 6, u32);
export const AWAITED = attribute('AWAITED', 7, empty);
export const CODE = attribute('CODE', 8, u16Code(RESULT_CODE));
export const REASON = attribute('REASON', 9, text);
export const SA_PROTOCOL = attribute('PROTOCOL', 10, u8Code(PROTOCOL));
export const SPI = attribute('SPI', 11, u32);
export const SRC = attribute('SRC', 12, host);
export const DST = attribute('DST', 13, host);
/** Of an SA: in or out only. */
export const DIRECTION_OF_SA = attribute('DIRECTION', 14, u8Code(SA_DIRECTION));
/** Of a policy: the same tag. */
export const DIRECTION_OF_POLICY = attribute('DIRECTION', 14, u8Code(POLICY_DIRECTION));
export const MARK = attribute('MARK', 15, mark);
export const IF_ID = attribute('IF_ID', 16, u32);
export const REQID = attribute('REQID', 17, u32);
export const SA_MODE = attribute('MODE', 18, u8Code(MODE));
export const ENCR = attribute('ENCR', 19, u16);
export const ENCR_KEY = attribute('ENCR_KEY', 20, secret);
export const INTEG = attribute('INTEG', 21, u16);
export const INTEG_KEY = attribute('INTEG_KEY', 22, secret);
export const LIFETIME = attribute('LIFETIME', 23, lifetimes);
export const REPLAY_WINDOW = attribute('REPLAY_WINDOW', 24, u32);
export const ESN = attribute('ESN', 25, flag);
export const ENCAP = attribute('ENCAP', 26, flag);
export const COPY_DF = attribute('COPY_DF', 27, flag);
export const COPY_ECN = attribute('COPY_ECN', 28, flag);
export const DSCP_COPY = attribute('COPY_DSCP', 29, u8Code(COPY_DSCP));
export const TFC = attribute('TFC', 30, u32);
export const INITIATOR = attribute('INITIATOR', 31, flag);
export const SRC_TS = attribute('SRC_TS', 32, trafficSelector);
export const DST_TS = attribute('DST_TS', 33, trafficSelector);
export const IPCOMP = attribute('IPCOMP', 34, u16);
export const OFFLOAD = attribute('HW_OFFLOAD', 35, u8Code(HW_OFFLOAD));
export const INTERFACE = attribute('INTERFACE', 36, text);
export const LABEL = attribute('LABEL', 37, bytes);
export const SET_MARK = attribute('SET_MARK', 38, mark);
export const CPU = attribute('CPU', 39, u32);
export const AGE_MS = attribute('AGE_MS', 40, u64);
export const NEW_SRC = attribute('NEW_SRC', 41, host);
export const NEW_DST = attribute('NEW_DST', 42, host);
export const NEW_ENCAP = attribute('NEW_ENCAP', 43, flag);
export const NEW_REQID = attribute('NEW_REQID', 44, u32);
export const TYPE_OF_POLICY = attribute('POLICY_TYPE', 45, u8Code(POLICY_TYPE));
export const CLASS_OF_PRIORITY = attribute('PRIORITY_CLASS', 46, u8Code(PRIORITY_CLASS));
export const MANUAL_PRIORITY = attribute('MANUAL_PRIORITY', 47, u32);
export const ESP_SPI = attribute('ESP_SPI', 48, u32);
export const AH_SPI = attribute('AH_SPI', 49, u32);
export const ROUTE_INTERFACE = attribute('ROUTE_INTERFACE', 50, text);
export const ACK_LATENCY_US = attribute('ACK_LATENCY_US', 51, u32);
export const HARD = attribute('HARD', 52, flag);
export const USAGE_ENTRY = attribute('USAGE_ENTRY', 53, usageEntry);
export const POLICY_USAGE_ENTRY = attribute('POLICY_USAGE_ENTRY', 54, policyUsageEntry);
export const WANTS_FAILURES = attribute('WANTS_FAILURES', 55, empty);
export const IKE_NAME = attribute('IKE_NAME', 56, name);
export const CHILD_NAME = attribute('CHILD_NAME', 57, name);

/** Tags that may come more than once in some message. */
export const REPEATABLE_TAGS: ReadonlySet<number> = new Set(
  [SRC_TS, DST_TS, USAGE_ENTRY, POLICY_USAGE_ENTRY].map(({ tag }) => tag),
);

export const HIGHEST_TAG = CHILD_NAME.tag;
