import { AgentError, MalformedError } from '../util/index.ts';
import { asBuffer } from './as-buffer.ts';
import { knownNames } from './name-table.ts';
import { NAME_LIMIT_BYTES, PACKET_TYPE, SEGMENT_LIMIT_BYTES } from './wire.ts';

const LENGTH_BYTES = 4;
const NO_MESSAGE = new Uint8Array();

/** One packet; messages are still bytes. */
export type ViciPacket =
  | { readonly kind: 'command-request' | 'event'; readonly name: string; readonly message: Uint8Array }
  | { readonly kind: 'command-response'; readonly message: Uint8Array }
  | { readonly kind: 'event-register' | 'event-unregister'; readonly name: string }
  | { readonly kind: 'command-unknown' | 'event-confirm' | 'event-unknown' };

/** Where a packet's message begins: its type, and its name if it has one, come first. */
export function messageOffset(packet: ViciPacket): number {
  return 1 + ('name' in packet ? 1 + Buffer.byteLength(packet.name, 'latin1') : 0);
}

/** Decodes one segment. Throws MalformedError with the offset in the stream. */
export function decodePacket(segment: Uint8Array, offset = 0): ViciPacket {
  switch (segment[0]) {
    case PACKET_TYPE['command-request']:
      return { kind: 'command-request', ...decodeNamed(segment, offset) };
    case PACKET_TYPE['command-response']:
      return { kind: 'command-response', message: segment.subarray(1) };
    case PACKET_TYPE['command-unknown']:
      return bare('command-unknown', segment, offset);
    case PACKET_TYPE['event-register']:
      return withoutMessage('event-register', segment, offset);
    case PACKET_TYPE['event-unregister']:
      return withoutMessage('event-unregister', segment, offset);
    case PACKET_TYPE['event-confirm']:
      return bare('event-confirm', segment, offset);
    case PACKET_TYPE['event-unknown']:
      return bare('event-unknown', segment, offset);
    case PACKET_TYPE.event:
      return { kind: 'event', ...decodeNamed(segment, offset) };
    default:
      throw new MalformedError(`VICI packet of unknown type ${segment[0]}`, offset);
  }
}

/** One packet with its length in front. */
export function encodePacket(packet: ViciPacket): Uint8Array {
  const name = 'name' in packet ? encodeName(packet.name) : NO_MESSAGE;
  const message = 'message' in packet ? packet.message : NO_MESSAGE;
  const lengthBytes = 1 + name.length + message.length;
  if (lengthBytes > SEGMENT_LIMIT_BYTES) {
    throw new AgentError(`a VICI packet of ${lengthBytes} bytes, charon takes ${SEGMENT_LIMIT_BYTES}`, {
      code: 'invalid-input',
    });
  }
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + lengthBytes);
  bytes.writeUInt32BE(lengthBytes, 0);
  bytes[LENGTH_BYTES] = PACKET_TYPE[packet.kind];
  bytes.set(name, LENGTH_BYTES + 1);
  bytes.set(message, LENGTH_BYTES + 1 + name.length);
  return bytes;
}

function decodeNamed(segment: Uint8Array, offset: number): { name: string; message: Uint8Array } {
  const length = segment[1];
  if (length === undefined || 2 + length > segment.length) {
    throw new MalformedError('VICI packet: it ends within its name', offset + 1);
  }
  return {
    name: knownNames.get(asBuffer(segment), 2, 2 + length),
    message: segment.subarray(2 + length),
  };
}

function withoutMessage<Kind extends 'event-register' | 'event-unregister'>(
  kind: Kind,
  segment: Uint8Array,
  offset: number,
): { kind: Kind; name: string } {
  const { name, message } = decodeNamed(segment, offset);
  if (message.length > 0) throw trailing(kind, message.length, offset + segment.length - message.length);
  return { kind, name };
}

function bare<Kind extends ViciPacket['kind']>(
  kind: Kind,
  segment: Uint8Array,
  offset: number,
): { kind: Kind } {
  if (segment.length > 1) throw trailing(kind, segment.length - 1, offset + 1);
  return { kind };
}

function trailing(kind: string, count: number, offset: number): MalformedError {
  return new MalformedError(`VICI packet ${kind}: ${count} trailing bytes`, offset);
}

function encodeName(name: string): Uint8Array {
  const bytes = Buffer.from(name, 'latin1');
  if (bytes.length === 0 || bytes.length > NAME_LIMIT_BYTES) {
    throw new AgentError(`VICI name "${name}": 1 to ${NAME_LIMIT_BYTES} bytes`, { code: 'invalid-input' });
  }
  return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
}
