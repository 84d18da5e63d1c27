import type { WatchEventsResponse } from '../proto/index.ts';
import { toReqId } from '../sad/index.ts';
import type { DataplaneEvent } from '../sync/index.ts';
import { decodePolicyId, decodeSaId } from './decode-ids.ts';
import { decodeAddress, decodeSelector } from './selectors.ts';

/** An event; undefined when it is of a kind this version does not know. */
export function decodeEvent(message: WatchEventsResponse): DataplaneEvent | undefined {
  const { expire, acquire, peerAddress, sequenceOverflow } = message;
  if (message.boot !== undefined) return { kind: 'boot', bootId: message.bootId.toString('hex') };
  if (message.gap !== undefined) return { kind: 'gap' };
  if (expire !== undefined) {
    return { kind: 'expire', id: decodeSaId(expire.id), isHard: expire.hard, reqid: toReqId(expire.reqid) };
  }
  if (acquire !== undefined) {
    return {
      kind: 'acquire',
      policy: decodePolicyId(acquire.policy),
      reqid: toReqId(acquire.reqid),
      source: decodeSelector(acquire.source),
      destination: decodeSelector(acquire.destination),
    };
  }
  if (peerAddress !== undefined) {
    return {
      kind: 'peer-address',
      id: decodeSaId(peerAddress.id),
      reqid: toReqId(peerAddress.reqid),
      address: decodeAddress(peerAddress.address),
      port: peerAddress.port,
    };
  }
  if (sequenceOverflow !== undefined) {
    return {
      kind: 'sequence-overflow',
      id: decodeSaId(sequenceOverflow.id),
      reqid: toReqId(sequenceOverflow.reqid),
    };
  }
  return undefined;
}
