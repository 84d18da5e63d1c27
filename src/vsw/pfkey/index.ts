/**
 * PF_KEYv2 (RFC 2367, and the extensions of KAME and Linux) as vsw speaks it on its socket of a VRF.
 *
 * From: the driver's requests and vsw's upcalls. To: /var/tmp/lagopus-VRF.sock, messages of one packet.
 *
 * Invariants: nothing is ever sent that closes vsw's connection or kills vsw (facts in docs/design/vsw.md);
 * one request at a time; keys in what comes are in SecretBytes, and the bytes they came in are wiped;
 * an end of the connection is told once.
 */
export { Errno, MessageType, SaState } from './constants.ts';
export { decodeMessage } from './decode.ts';
export { encodeRequest } from './encode.ts';
export type {
  Ipv4,
  OuterPair,
  PfkeyMessage,
  PfkeyPolicy,
  PfkeyRequest,
  PfkeySa,
  PfkeySaId,
  PfkeySelector,
} from './message.ts';
export { errnoName, PfkeyConnection, type PfkeyConnectionOptions } from './pfkey-connection.ts';
