import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ConfigType,
  decodeConfigReply,
  decodeConfigRequest,
  decodeRegisterModule,
  encodeConfigReply,
  encodeConfigRequest,
  encodeRegisterModule,
} from '../../../src/vsw/relay/messages.ts';

/** `buf convert` of openconfigd's own openconfig.proto, at v0.8.2 (old) and v0.8.3 (new). */
const golden = {
  subscribeOld: '08081206636f6e6669672a0a696e74657266616365732a09696e74657266616365',
  subscribeNew: '08081206636f6e666967320a696e74657266616365733209696e74657266616365',
  finished: '080c1206636f6e666967',
  set: '1a0a696e74657266616365731a09696e746572666163651a03696630',
  delete: '10011a0a696e74657266616365731a09696e746572666163651a03696630',
  commitStart: '1006',
  commitEnd: '1007',
  moduleOld: '0a0a73686f77536572766572120432363533',
  moduleNew: '0a0a73686f775365727665721a0432363533',
  moduleNewHost: '0a0a73686f77536572766572120568312e783a1a0432363533',
} as const;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Buffer => Buffer.from(text, 'hex');
const path = ['interfaces', 'interface'];
const subscribe = { type: ConfigType.SUBSCRIBE, module: 'config', path };

describe('openconfigd’s messages, byte for byte', () => {
  it('number a subscriber’s path as releases to 0.8.2 or as 0.8.3 does', () => {
    assert.equal(hex(encodeConfigRequest(subscribe, 'old')), golden.subscribeOld);
    assert.equal(hex(encodeConfigRequest(subscribe, 'new')), golden.subscribeNew);
  });

  it('show by the path which numbering their sender has', () => {
    assert.deepEqual(decodeConfigRequest(bytes(golden.subscribeOld)), { ...subscribe, numbering: 'old' });
    assert.deepEqual(decodeConfigRequest(bytes(golden.subscribeNew)), { ...subscribe, numbering: 'new' });
    assert.equal(decodeConfigRequest(bytes(golden.finished)).numbering, undefined);
  });

  it('release a waiting openconfigd', () => {
    const finished = { type: ConfigType.API_CALL_FINISHED, module: 'config', path: [] };
    assert.equal(hex(encodeConfigRequest(finished, 'new')), golden.finished);
  });

  it('carry a transaction', () => {
    const leaf = [...path, 'if0'];
    for (const [name, message] of [
      ['commitStart', { type: ConfigType.COMMIT_START, path: [] }],
      ['set', { type: ConfigType.SET, path: leaf }],
      ['delete', { type: ConfigType.DELETE, path: leaf }],
      ['commitEnd', { type: ConfigType.COMMIT_END, path: [] }],
    ] as const) {
      assert.equal(hex(encodeConfigReply(message)), golden[name], name);
      assert.deepEqual(decodeConfigReply(bytes(golden[name])), message, name);
    }
  });

  it('name the module’s port in both numberings', () => {
    const module = { module: 'showServer', host: '', port: '2653' };
    assert.deepEqual(decodeRegisterModule(bytes(golden.moduleOld)), module);
    assert.deepEqual(decodeRegisterModule(bytes(golden.moduleNew)), module);
    assert.equal(hex(encodeRegisterModule(module, 'old')), golden.moduleOld);
    assert.equal(hex(encodeRegisterModule(module, 'new')), golden.moduleNew);
    assert.equal(hex(encodeRegisterModule({ ...module, host: 'h1.x:' }, 'new')), golden.moduleNewHost);
  });

  it('pass over fields nobody here knows', () => {
    // result = -1 (a varint of ten bytes), json = "{}"
    const reply = bytes(`08ffffffffffffffffff01${golden.set}22027b7d`);
    assert.deepEqual(decodeConfigReply(reply), { type: ConfigType.SET, path: [...path, 'if0'] });
  });
});
