import { assertNever } from '../../util/index.ts';
import {
  AF_INET,
  ExtensionType,
  HEADER_BYTES,
  IPPROTO_ESP,
  IPSEC_LEVEL_REQUIRE,
  IPSEC_MODE_TUNNEL,
  IPSEC_PROTO_ANY,
  MessageType,
  NAT_TYPE_ESP_IN_UDP,
  PF_KEY_V2,
  PolicyDirection,
  PolicyType,
  SATYPE_ESP,
  SaState,
  UNIT_BYTES,
} from './constants.ts';
import type {
  Ipv4,
  OuterPair,
  PfkeyKey,
  PfkeyPolicy,
  PfkeyRequest,
  PfkeySa,
  PfkeySaId,
  PfkeySelector,
} from './message.ts';

const SOCKADDR_BYTES = 16;
const POLICY_BYTES = 16;
const IPSECREQUEST_BYTES = 16;
const HOST_PREFIX = 32;

/** Host order is little endian: PF_KEY does not leave the machine, and vsw knows no other. */
function extension(type: number, lengthBytes: number): Buffer {
  const padded = Math.ceil(lengthBytes / UNIT_BYTES) * UNIT_BYTES;
  const bytes = Buffer.alloc(padded);
  bytes.writeUInt16LE(padded / UNIT_BYTES, 0);
  bytes.writeUInt16LE(type, 2);
  return bytes;
}

function writeSockaddr(to: Buffer, offset: number, address: Ipv4, port: number): void {
  to.writeUInt16LE(AF_INET, offset);
  to.writeUInt16BE(port, offset + 2);
  to.writeUInt32BE(address, offset + 4);
}

function sa(spi: number, auth: number, encrypt: number): Buffer {
  const bytes = extension(ExtensionType.sa, 16);
  bytes.writeUInt32BE(spi, 4);
  bytes.writeUInt8(SaState.mature, 9);
  bytes.writeUInt8(auth, 10);
  bytes.writeUInt8(encrypt, 11);
  return bytes;
}

function address(type: number, selector: PfkeySelector, protocol: number): Buffer {
  const bytes = extension(type, 8 + SOCKADDR_BYTES);
  bytes.writeUInt8(protocol, 4);
  bytes.writeUInt8(selector.prefixLength, 5);
  writeSockaddr(bytes, 8, selector.address, selector.port);
  return bytes;
}

function hostAddresses({ source, destination }: OuterPair): readonly Buffer[] {
  const host = (value: Ipv4): PfkeySelector => ({ address: value, prefixLength: HOST_PREFIX, port: 0 });
  return [
    address(ExtensionType.addressSource, host(source), 0),
    address(ExtensionType.addressDestination, host(destination), 0),
  ];
}

function lifetime(type: number, addSeconds: number): Buffer {
  const bytes = extension(type, 32);
  bytes.writeBigUInt64LE(BigInt(addSeconds), 16);
  return bytes;
}

function key(type: number, { key: secret }: PfkeyKey): Buffer {
  const bytes = extension(type, 8 + secret.lengthBytes);
  bytes.writeUInt16LE(secret.lengthBytes * 8, 4);
  secret.reveal((plain) => bytes.set(plain, 8));
  return bytes;
}

function natPort(type: number, port: number): Buffer {
  const bytes = extension(type, 8);
  bytes.writeUInt16BE(port, 4);
  return bytes;
}

function natExtensions(udp: PfkeySa['udp']): readonly Buffer[] {
  if (udp === undefined) return [];
  const type = extension(ExtensionType.natType, 8);
  type.writeUInt8(NAT_TYPE_ESP_IN_UDP, 4);
  return [
    type,
    natPort(ExtensionType.natSourcePort, udp.sourcePort),
    natPort(ExtensionType.natDestinationPort, udp.destinationPort),
  ];
}

function addExtensions(request: PfkeySa): readonly Buffer[] {
  const { spi, encryption, integrity, hardSeconds, softSeconds } = request;
  return [
    sa(spi, integrity?.algorithm ?? 0, encryption.algorithm),
    lifetime(ExtensionType.lifetimeHard, hardSeconds),
    lifetime(ExtensionType.lifetimeSoft, softSeconds),
    ...hostAddresses(request),
    ...(integrity === undefined ? [] : [key(ExtensionType.keyAuth, integrity)]),
    key(ExtensionType.keyEncrypt, encryption),
    ...natExtensions(request.udp),
  ];
}

function idExtensions(request: PfkeySaId): readonly Buffer[] {
  return [sa(request.spi, 0, 0), ...hostAddresses(request)];
}

function policyExtension(policy: PfkeyPolicy): Buffer {
  const requestBytes = IPSECREQUEST_BYTES + 2 * SOCKADDR_BYTES;
  const bytes = extension(ExtensionType.policy, POLICY_BYTES + requestBytes);
  bytes.writeUInt16LE(PolicyType[policy.type], 4);
  bytes.writeUInt8(PolicyDirection[policy.direction], 6);
  bytes.writeUInt32LE(policy.priority, 12);
  // sadb_x_ipsecrequest, whose length counts bytes
  bytes.writeUInt16LE(requestBytes, 16);
  bytes.writeUInt16LE(IPPROTO_ESP, 18);
  bytes.writeUInt8(IPSEC_MODE_TUNNEL, 20);
  bytes.writeUInt8(IPSEC_LEVEL_REQUIRE, 21);
  bytes.writeUInt32LE(policy.reqid, 24);
  writeSockaddr(bytes, POLICY_BYTES + IPSECREQUEST_BYTES, policy.tunnel.source, 0);
  writeSockaddr(bytes, POLICY_BYTES + IPSECREQUEST_BYTES + SOCKADDR_BYTES, policy.tunnel.destination, 0);
  return bytes;
}

function policyExtensions(policy: PfkeyPolicy): readonly Buffer[] {
  const protocol = policy.protocol === 0 ? IPSEC_PROTO_ANY : policy.protocol;
  return [
    policyExtension(policy),
    address(ExtensionType.addressSource, policy.source, protocol),
    address(ExtensionType.addressDestination, policy.destination, protocol),
  ];
}

function policyIdExtension(id: number): Buffer {
  const bytes = extension(ExtensionType.policy, POLICY_BYTES);
  bytes.writeUInt32LE(id, 8);
  return bytes;
}

type Body = { readonly type: number; readonly extensions: readonly Buffer[] };

function bodyOf(request: PfkeyRequest): Body {
  switch (request.kind) {
    case 'register':
      return { type: MessageType.register, extensions: [] };
    case 'add':
      return { type: MessageType.add, extensions: addExtensions(request) };
    case 'delete':
      return { type: MessageType.delete, extensions: idExtensions(request) };
    case 'get':
      return { type: MessageType.get, extensions: idExtensions(request) };
    case 'dump':
      return { type: MessageType.dump, extensions: [] };
    case 'spd-add':
      return { type: MessageType.spdAdd, extensions: policyExtensions(request) };
    case 'spd-update':
      return { type: MessageType.spdUpdate, extensions: policyExtensions(request) };
    case 'spd-delete':
      return { type: MessageType.spdDelete, extensions: policyExtensions(request) };
    case 'spd-get':
      return { type: MessageType.spdGet, extensions: [policyIdExtension(request.id)] };
    default:
      return assertNever(request, 'PF_KEY request');
  }
}

/** The caller wipes it: it may hold keys. */
export function encodeRequest(request: PfkeyRequest, sequence: number, pid: number): Buffer {
  const { type, extensions } = bodyOf(request);
  const lengthBytes = extensions.reduce((sum, bytes) => sum + bytes.length, HEADER_BYTES);
  const message = Buffer.alloc(lengthBytes);
  message.writeUInt8(PF_KEY_V2, 0);
  message.writeUInt8(type, 1);
  message.writeUInt8(SATYPE_ESP, 3);
  message.writeUInt16LE(lengthBytes / UNIT_BYTES, 4);
  message.writeUInt32LE(sequence, 8);
  message.writeUInt32LE(pid, 12);
  let offset = HEADER_BYTES;
  for (const bytes of extensions) {
    bytes.copy(message, offset);
    bytes.fill(0);
    offset += bytes.length;
  }
  return message;
}
