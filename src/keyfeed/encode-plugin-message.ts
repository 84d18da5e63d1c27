import { assertNever } from '../util/index.ts';
import * as attribute from './attributes.ts';
import { FrameWriter } from './frame-writer.ts';
import type { FeedPolicy, FeedSa, FeedSaId, PluginMessage } from './messages.ts';
import { PLUGIN_MESSAGE } from './wire.ts';

/**
 * One message of the plugin as a whole frame, its length first: the plugin's side
 * of the protocol, for tests and tools. It holds the keys in clear.
 */
export function encodePluginMessage(message: PluginMessage): Uint8Array {
  const to = new FrameWriter(PLUGIN_MESSAGE[message.kind]);
  if ('seq' in message) to.put(attribute.SEQ, message.seq);
  switch (message.kind) {
    case 'hello':
      to.put(attribute.VERSION, message.version).put(attribute.INSTANCE, message.instance);
      to.put(attribute.SERVER, message.server).put(attribute.DEADLINE_MS, message.deadlineMs);
      to.putOptional(attribute.AGE_MS, message.ageMs);
      break;
    case 'snapshot-end':
      to.put(attribute.COUNT, message.count);
      break;
    case 'error':
      to.put(attribute.CODE, message.code).put(attribute.REASON, message.reason);
      break;
    case 'get-spi':
      to.put(attribute.AWAITED, true).put(attribute.SA_PROTOCOL, message.protocol);
      to.put(attribute.SRC, message.source).put(attribute.DST, message.destination);
      break;
    case 'add-sa':
      if (message.awaited) to.put(attribute.AWAITED, true);
      putSa(to, message.sa);
      break;
    case 'update-sa':
      if (message.awaited) to.put(attribute.AWAITED, true);
      putSaId(to, message.id);
      to.put(attribute.NEW_SRC, message.newSource).put(attribute.NEW_DST, message.newDestination);
      to.put(attribute.ENCAP, message.encap).put(attribute.NEW_ENCAP, message.newEncap);
      to.putOptional(attribute.NEW_REQID, message.newReqid);
      break;
    case 'del-sa':
      putSaId(to, message.id);
      break;
    case 'add-policy':
      if (message.awaited) to.put(attribute.AWAITED, true);
      putPolicy(to, message.policy);
      break;
    case 'del-policy':
      putPolicy(to, message.policy);
      break;
    case 'probe':
      to.put(attribute.AWAITED, true);
      break;
    case 'setup-failed':
      to.put(attribute.IKE_NAME, message.ike).put(attribute.CHILD_NAME, message.child);
      to.put(attribute.CODE, message.code).put(attribute.REASON, message.reason);
      break;
    case 'snapshot-begin':
    case 'flush-sas':
    case 'flush-policies':
      break;
    default:
      return assertNever(message, 'message of the plugin');
  }
  return to.finish();
}

function putSaId(to: FrameWriter, id: FeedSaId): void {
  to.put(attribute.SA_PROTOCOL, id.protocol).put(attribute.SPI, id.spi);
  to.put(attribute.SRC, id.source).put(attribute.DST, id.destination);
  to.put(attribute.DIRECTION_OF_SA, id.direction);
  to.putOptional(attribute.MARK, id.mark).putOptional(attribute.IF_ID, id.ifId);
}

function putSa(to: FrameWriter, sa: FeedSa): void {
  putSaId(to, sa.id);
  to.put(attribute.REQID, sa.reqid).put(attribute.SA_MODE, sa.mode);
  to.put(attribute.ENCR, sa.encr).putOptional(attribute.ENCR_KEY, sa.encrKey);
  to.put(attribute.INTEG, sa.integ).putOptional(attribute.INTEG_KEY, sa.integKey);
  to.put(attribute.LIFETIME, { soft: sa.softLifetime, hard: sa.hardLifetime });
  to.put(attribute.REPLAY_WINDOW, sa.replayWindow).put(attribute.ESN, sa.esn).put(attribute.ENCAP, sa.encap);
  to.put(attribute.COPY_DF, sa.copyDf).put(attribute.COPY_ECN, sa.copyEcn);
  to.put(attribute.DSCP_COPY, sa.copyDscp).put(attribute.TFC, sa.tfc).put(attribute.INITIATOR, sa.initiator);
  to.putAll(attribute.SRC_TS, sa.sourceSelectors).putAll(attribute.DST_TS, sa.destinationSelectors);
  to.putOptional(attribute.IPCOMP, sa.ipcomp).putOptional(attribute.OFFLOAD, sa.hwOffload);
  to.putOptional(attribute.INTERFACE, sa.interface).putOptional(attribute.LABEL, sa.label);
  to.putOptional(attribute.SET_MARK, sa.setMark).putOptional(attribute.CPU, sa.cpu);
  to.putOptional(attribute.AGE_MS, sa.ageMs);
}

function putPolicy(to: FrameWriter, policy: FeedPolicy): void {
  to.put(attribute.DIRECTION_OF_POLICY, policy.direction);
  to.put(attribute.SRC_TS, policy.source).put(attribute.DST_TS, policy.destination);
  to.putOptional(attribute.MARK, policy.mark).putOptional(attribute.IF_ID, policy.ifId);
  to.putOptional(attribute.INTERFACE, policy.interface).putOptional(attribute.LABEL, policy.label);
  to.put(attribute.TYPE_OF_POLICY, policy.type).put(attribute.CLASS_OF_PRIORITY, policy.priorityClass);
  to.put(attribute.MANUAL_PRIORITY, policy.manualPriority);
  to.put(attribute.SRC, policy.outerSource).put(attribute.DST, policy.outerDestination);
  to.put(attribute.REQID, policy.reqid).put(attribute.SA_MODE, policy.mode);
  to.put(attribute.ESP_SPI, policy.espSpi).put(attribute.AH_SPI, policy.ahSpi);
  to.putOptional(attribute.IPCOMP, policy.ipcomp);
}
