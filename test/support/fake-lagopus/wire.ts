import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { ServiceDefinition } from '@grpc/grpc-js';

/**
 * The messages of package openconfig that vsw, openconfigd and a relay between them exchange. Field
 * numbers: openconfigd's proto/openconfig.proto at v0.8.2 and v0.8.3, which inserted `host` in three
 * messages.
 */
export type Numbering = '0.8.2' | '0.8.3';

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
  SUBSCRIBE_MULTI: 9,
  SUBSCRIBE_REQUEST: 10,
  JSON_CONFIG: 11,
  API_CALL_FINISHED: 12,
} as const;

export const ExecType = { EXEC: 0 } as const;
export const ExecCode = { SUCCESS: 0, SHOW: 4, REDIRECT_SHOW: 6 } as const;

type Kinds = { uint: number; string: string; strings: readonly string[] };
type Shape = Readonly<Record<string, keyof Kinds>>;
type Message<S extends Shape> = { readonly [K in keyof S]: Kinds[S[K]] };

type Codec<T> = { readonly encode: (message: Partial<T>) => Buffer; readonly decode: (bytes: Buffer) => T };

/**
 * A proto3 message of flat fields. As golang/protobuf of that time does, decoding fails on a field of
 * another wire type: that is what a sender of the other numbering sees.
 */
function codec<S extends Shape>(name: string, shape: S, numbers: Record<keyof S, number>): Codec<Message<S>> {
  const fields = Object.entries(shape).map(([key, kind]) => ({ key, kind, number: numbers[key] }));
  return {
    encode: (message) => {
      const writer = new BinaryWriter();
      const values: Readonly<Record<string, unknown>> = message;
      for (const { key, kind, number } of [...fields].sort((a, b) => (a.number ?? 0) - (b.number ?? 0))) {
        const value = values[key];
        if (number === undefined || value === undefined || value === '' || value === 0) continue;
        if (kind === 'uint') writer.tag(number, WireType.Varint).uint32(Number(value));
        else if (kind === 'string') writer.tag(number, WireType.LengthDelimited).string(String(value));
        else if (Array.isArray(value))
          for (const item of value) writer.tag(number, WireType.LengthDelimited).string(String(item));
      }
      return Buffer.from(writer.finish());
    },
    decode: (bytes) => {
      const message: Record<string, unknown> = {};
      for (const { key, kind } of fields) message[key] = kind === 'uint' ? 0 : kind === 'string' ? '' : [];
      const reader = new BinaryReader(bytes);
      while (reader.pos < reader.len) {
        const [number, wireType] = reader.tag();
        const field = fields.find((candidate) => candidate.number === number);
        if (field === undefined) {
          reader.skip(wireType);
          continue;
        }
        const expected = field.kind === 'uint' ? WireType.Varint : WireType.LengthDelimited;
        if (wireType !== expected) {
          throw new Error(`proto: bad wiretype for field ${name}.${field.key}: got ${wireType}`);
        }
        if (field.kind === 'uint') message[field.key] = reader.uint32();
        else if (field.kind === 'string') message[field.key] = reader.string();
        else {
          const list = message[field.key];
          if (Array.isArray(list)) list.push(reader.string());
        }
      }
      return message as Message<S>;
    },
  };
}

const CONFIG_REQUEST = {
  type: 'uint',
  module: 'string',
  host: 'string',
  port: 'uint',
  subtype: 'uint',
  path: 'strings',
} as const;
const EXEC_REPLY = {
  code: 'uint',
  lines: 'string',
  host: 'string',
  port: 'uint',
  candidates: 'strings',
} as const;
const REGISTER_MODULE = { module: 'string', host: 'string', port: 'string' } as const;

/** `host` has no number before 0.8.3. */
const NONE = -1;

export const configReply = codec(
  'ConfigReply',
  { result: 'uint', type: 'uint', path: 'strings', json: 'string' },
  { result: 1, type: 2, path: 3, json: 4 },
);
export const execRequest = codec(
  'ExecRequest',
  {
    type: 'uint',
    mode: 'string',
    privilege: 'uint',
    line: 'string',
    commands: 'strings',
    args: 'strings',
    content: 'uint',
  },
  { type: 1, mode: 2, privilege: 3, line: 4, commands: 5, args: 6, content: 7 },
);
export const registerRequest = codec(
  'RegisterRequest',
  {
    name: 'string',
    module: 'string',
    mode: 'string',
    line: 'string',
    privilege: 'uint',
    helps: 'strings',
    code: 'uint',
  },
  { name: 1, module: 2, mode: 3, line: 4, privilege: 5, helps: 6, code: 7 },
);
export const registerReply = codec('RegisterReply', { callbackid: 'uint' }, { callbackid: 1 });
export const registerModuleReply = codec('RegisterModuleReply', { result: 'uint' }, { result: 1 });

export const configRequest = {
  '0.8.2': codec('ConfigRequest', CONFIG_REQUEST, {
    type: 1,
    module: 2,
    host: NONE,
    port: 3,
    subtype: 4,
    path: 5,
  }),
  '0.8.3': codec('ConfigRequest', CONFIG_REQUEST, {
    type: 1,
    module: 2,
    host: 3,
    port: 4,
    subtype: 5,
    path: 6,
  }),
} as const;
export const execReply = {
  '0.8.2': codec('ExecReply', EXEC_REPLY, { code: 1, lines: 2, host: NONE, port: 3, candidates: 4 }),
  '0.8.3': codec('ExecReply', EXEC_REPLY, { code: 1, lines: 2, host: 3, port: 4, candidates: 5 }),
} as const;
export const registerModuleRequest = {
  '0.8.2': codec('RegisterModuleRequest', REGISTER_MODULE, { module: 1, host: NONE, port: 2 }),
  '0.8.3': codec('RegisterModuleRequest', REGISTER_MODULE, { module: 1, host: 2, port: 3 }),
} as const;

export type ConfigRequest = ReturnType<(typeof configRequest)['0.8.3']['decode']>;
export type ConfigReply = ReturnType<typeof configReply.decode>;
export type ExecRequest = ReturnType<typeof execRequest.decode>;
export type ExecReply = ReturnType<(typeof execReply)['0.8.3']['decode']>;
export type RegisterRequest = ReturnType<typeof registerRequest.decode>;
export type RegisterReply = ReturnType<typeof registerReply.decode>;
export type RegisterModuleRequest = ReturnType<(typeof registerModuleRequest)['0.8.3']['decode']>;
export type RegisterModuleReply = ReturnType<typeof registerModuleReply.decode>;

function method<Q, R>(
  path: string,
  isStream: boolean,
  request: Codec<Q>,
  reply: Codec<R>,
): ServiceDefinition[string] {
  return {
    path,
    requestStream: isStream,
    responseStream: isStream,
    requestSerialize: request.encode,
    requestDeserialize: request.decode,
    responseSerialize: reply.encode,
    responseDeserialize: reply.decode,
  };
}

export function configService(numbering: Numbering): ServiceDefinition {
  return { DoConfig: method('/openconfig.Config/DoConfig', true, configRequest[numbering], configReply) };
}

export function registerService(numbering: Numbering): ServiceDefinition {
  return {
    DoRegister: method('/openconfig.Register/DoRegister', false, registerRequest, registerReply),
    DoRegisterModule: method(
      '/openconfig.Register/DoRegisterModule',
      false,
      registerModuleRequest[numbering],
      registerModuleReply,
    ),
  };
}

export function execService(numbering: Numbering): ServiceDefinition {
  return { DoExec: method('/openconfig.Exec/DoExec', false, execRequest, execReply[numbering]) };
}
