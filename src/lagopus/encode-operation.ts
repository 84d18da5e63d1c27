import {
  Direction as ProtoDirection,
  type Lifetime as ProtoLifetime,
  type Operation as ProtoOperation,
  type Policy as ProtoPolicy,
  PolicyAction as ProtoPolicyAction,
  type PolicyId as ProtoPolicyId,
  type Sa as ProtoSa,
  type SaId as ProtoSaId,
} from '../proto/index.ts';
import type { Lifetime, Operation, PolicyId, SaId, SecurityPolicy } from '../sad/index.ts';
import { assertNever, type SecretBytes } from '../util/index.ts';
import { direction, dscpCopy, mode, protocol } from './codes.ts';
import { policyFeatures, saFeatures } from './required-features.ts';
import { encodeAddress, encodeBytes, encodeEncapsulation, encodeMark, encodeSelector } from './selectors.ts';

export function encodeSaId(id: SaId): ProtoSaId {
  return {
    direction: direction.encode(id.direction),
    protocol: protocol.encode(id.protocol),
    spi: id.spi,
    destination: encodeAddress(id.destination),
    mark: encodeMark(id.mark),
    ifId: id.ifId ?? 0,
    outerVrf: '',
  };
}

function encodeLifetime({ seconds, bytes, packets }: Lifetime): ProtoLifetime {
  return { seconds: seconds ?? 0n, bytes: bytes ?? 0n, packets: packets ?? 0n };
}

/** A copy that `wipeKeys` overwrites. */
function encodeKey(key: SecretBytes | undefined): Buffer {
  // Not Buffer.from: its pool would share the memory with other messages.
  return key === undefined ? Buffer.alloc(0) : key.reveal((bytes) => Buffer.alloc(bytes.length, bytes));
}

function encodeSa(operation: Operation & { kind: 'add-sa' }): ProtoSa {
  const { sa, replayState } = operation;
  return {
    id: encodeSaId(sa.id),
    source: encodeAddress(sa.source),
    mode: mode.encode(sa.mode),
    reqid: sa.reqid,
    encryption: sa.encryption?.id ?? 0,
    encryptionKey: encodeKey(sa.encryption?.key),
    integrity: sa.integrity?.id ?? 0,
    integrityKey: encodeKey(sa.integrity?.key),
    udpEncapsulation: encodeEncapsulation(sa.udpEncapsulation),
    replayWindow: sa.replayWindow,
    esn: sa.esn,
    sourceSelectors: sa.sourceSelectors.map(encodeSelector),
    destinationSelectors: sa.destinationSelectors.map(encodeSelector),
    softLifetime: encodeLifetime(sa.softLifetime),
    hardLifetime: encodeLifetime(sa.hardLifetime),
    initialSequence: 0n,
    replayState:
      replayState === undefined
        ? undefined
        : { highestSequence: replayState.highestSequence, bitmap: Buffer.from(replayState.bitmap) },
    setMark: encodeMark(sa.setMark),
    ifIdOut: 0,
    interface: sa.interface ?? '',
    label: encodeBytes(sa.label),
    innerVrf: sa.innerVrf ?? '',
    copyDf: sa.copyDf,
    copyEcn: sa.copyEcn,
    copyDscp: dscpCopy.encode(sa.copyDscp),
    tfc: sa.tfc,
    cpu: sa.cpu === undefined ? 0 : sa.cpu + 1,
    ipcomp: sa.ipcomp,
    hwOffload: sa.hwOffload,
    requiredFeatures: saFeatures(operation),
  };
}

export function encodePolicyId(id: PolicyId): ProtoPolicyId {
  return {
    direction:
      id.direction === 'forward' ? ProtoDirection.DIRECTION_UNSPECIFIED : direction.encode(id.direction),
    source: encodeSelector(id.source),
    destination: encodeSelector(id.destination),
    mark: encodeMark(id.mark),
    ifId: id.ifId ?? 0,
    interface: id.interface ?? '',
    label: encodeBytes(id.label),
    innerVrf: id.innerVrf ?? '',
  };
}

const ACTIONS = {
  protect: ProtoPolicyAction.POLICY_ACTION_PROTECT,
  bypass: ProtoPolicyAction.POLICY_ACTION_BYPASS,
  discard: ProtoPolicyAction.POLICY_ACTION_DISCARD,
} as const;

function encodePolicy(policy: SecurityPolicy): ProtoPolicy {
  const { id, action, priority } = policy;
  const templates = action.kind === 'protect' ? [action.template] : [];
  return {
    id: encodePolicyId(id),
    action: ACTIONS[action.kind],
    priority,
    templates: templates.map((template) => ({
      protocol: protocol.encode(template.protocol),
      mode: mode.encode(template.mode),
      source: encodeAddress(template.source),
      destination: encodeAddress(template.destination),
      spi: template.spi ?? 0,
      reqid: template.reqid,
    })),
    requiredFeatures: policyFeatures(policy),
  };
}

/** One operation of a batch. The message of an added SA holds copies of its keys: see `wipeKeys`. */
export function encodeOperation(operation: Operation): ProtoOperation {
  switch (operation.kind) {
    case 'add-sa':
      return { addSa: { sa: encodeSa(operation) } };
    case 'update-sa': {
      const { source, destination, udpEncapsulation, reqid } = operation.move;
      return {
        updateSa: {
          id: encodeSaId(operation.id),
          newSource: encodeAddress(source),
          newDestination: encodeAddress(destination),
          newUdpEncapsulation: encodeEncapsulation(udpEncapsulation),
          newReqid: reqid ?? 0,
        },
      };
    }
    case 'delete-sa':
      return { deleteSa: { id: encodeSaId(operation.id) } };
    case 'put-policy':
      return { putPolicy: { policy: encodePolicy(operation.policy) } };
    case 'delete-policy':
      return { deletePolicy: { id: encodePolicyId(operation.id) } };
    case 'reserve-spi':
      return {
        reserveSpi: {
          protocol: protocol.encode(operation.protocol),
          source: encodeAddress(operation.source),
          destination: encodeAddress(operation.destination),
        },
      };
    default:
      return assertNever(operation, 'operation');
  }
}

/** Overwrites the copies of keys that messages hold. */
export function wipeKeys(operations: readonly ProtoOperation[]): void {
  for (const { addSa } of operations) {
    addSa?.sa?.encryptionKey.fill(0);
    addSa?.sa?.integrityKey.fill(0);
  }
}
