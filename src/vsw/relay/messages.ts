import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/**
 * Messages of openconfigd's package `openconfig`, as far as vsw speaks them. Releases 0.8.0 to 0.8.2 number
 * their fields as `old`; 0.8.3 inserted `host` into ConfigRequest and RegisterModuleRequest: `new`.
 */
export type Numbering = 'old' | 'new';

export const ConfigType = {
  SET: 0,
  DELETE: 1,
  VALIDATE_START: 2,
  VALIDATE_END: 3,
  VALIDATE_SUCCESS: 4,
  VALIDATE_FAILED: 5,
  COMMIT_START: 6,
  COMMIT_END: 7,
  SUBSCRIBE: 8,
  API_CALL_FINISHED: 12,
} as const;

/** What a subscriber sends. */
export type ConfigRequest = {
  readonly type: number;
  readonly module: string;
  readonly path: readonly string[];
  /** How its sender numbers fields; undefined when this message does not show it. */
  readonly numbering: Numbering | undefined;
};

/** What a subscriber receives. */
export type ConfigReply = { readonly type: number; readonly path: readonly string[] };

export type RegisterModule = { readonly module: string; readonly host: string; readonly port: string };

const pathField = { old: 5, new: 6 } as const;
const portField = { old: 2, new: 3 } as const;
const REPLY_TYPE = 2;
const REPLY_PATH = 3;

type Field = { readonly number: number; readonly text?: string; readonly value?: number };

/** The fields of a message: numbers, and whatever has a length as text. */
function* fieldsOf(bytes: Uint8Array): Generator<Field, void, undefined> {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType === WireType.Varint) yield { number, value: reader.int32() };
    else if (wireType === WireType.LengthDelimited) yield { number, text: reader.string() };
    else reader.skip(wireType);
  }
}

/** Tells the numbering from the path: vsw gives one with every subscription, and nothing else repeated. */
export function decodeConfigRequest(bytes: Uint8Array): ConfigRequest {
  const paths: Record<Numbering, string[]> = { old: [], new: [] };
  let type = 0;
  let module = '';
  for (const { number, text, value } of fieldsOf(bytes)) {
    if (number === 1 && value !== undefined) type = value;
    if (number === 2 && text !== undefined) module = text;
    if (number === pathField.old && text !== undefined) paths.old.push(text);
    if (number === pathField.new && text !== undefined) paths.new.push(text);
  }
  if (paths.old.length > 0) return { type, module, path: paths.old, numbering: 'old' };
  if (paths.new.length > 0) return { type, module, path: paths.new, numbering: 'new' };
  return { type, module, path: [], numbering: undefined };
}

export function encodeConfigRequest(
  { type, module, path }: Omit<ConfigRequest, 'numbering'>,
  numbering: Numbering,
): Buffer {
  const writer = new BinaryWriter();
  if (type !== 0) writer.tag(1, WireType.Varint).int32(type);
  if (module !== '') writer.tag(2, WireType.LengthDelimited).string(module);
  for (const word of path) {
    writer.tag(pathField[numbering], WireType.LengthDelimited).string(word);
  }
  return Buffer.from(writer.finish());
}

export function decodeConfigReply(bytes: Uint8Array): ConfigReply {
  const path: string[] = [];
  let type = 0;
  for (const { number, text, value } of fieldsOf(bytes)) {
    if (number === REPLY_TYPE && value !== undefined) type = value;
    if (number === REPLY_PATH && text !== undefined) path.push(text);
  }
  return { type, path };
}

export function encodeConfigReply({ type, path }: ConfigReply): Buffer {
  const writer = new BinaryWriter();
  if (type !== 0) writer.tag(REPLY_TYPE, WireType.Varint).int32(type);
  for (const word of path) writer.tag(REPLY_PATH, WireType.LengthDelimited).string(word);
  return Buffer.from(writer.finish());
}

/** vsw always gives a port, and no host. */
export function decodeRegisterModule(bytes: Uint8Array): RegisterModule {
  const texts = new Map<number, string>();
  for (const { number, text } of fieldsOf(bytes)) if (text !== undefined) texts.set(number, text);
  const module = texts.get(1) ?? '';
  const second = texts.get(2) ?? '';
  const third = texts.get(3);
  return third === undefined ? { module, host: '', port: second } : { module, host: second, port: third };
}

export function encodeRegisterModule({ module, host, port }: RegisterModule, numbering: Numbering): Buffer {
  const writer = new BinaryWriter();
  if (module !== '') writer.tag(1, WireType.LengthDelimited).string(module);
  if (numbering === 'new' && host !== '') writer.tag(2, WireType.LengthDelimited).string(host);
  if (port !== '') writer.tag(portField[numbering], WireType.LengthDelimited).string(port);
  return Buffer.from(writer.finish());
}
