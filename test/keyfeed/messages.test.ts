import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AgentMessage,
  decodeAgentMessage,
  decodePluginMessage,
  encodeAgentMessage,
  encodePluginMessage,
  type PluginMessage,
} from '../../src/keyfeed/index.ts';
import { tries } from '../support/tries.ts';
import {
  agentMessages,
  pluginMessages,
  samplePolicy,
  sampleSa,
  sampleSelector,
  withVisibleKeys,
} from './samples.ts';

const LENGTH_BYTES = 4;

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

function body(frame: Uint8Array): Uint8Array {
  return frame.subarray(LENGTH_BYTES);
}

/** A frame's body with one attribute more. */
function withAttribute(frame: Uint8Array, tag: number, value: Uint8Array): Uint8Array {
  const header = Uint8Array.of(tag >> 8, tag & 0xff, value.length >> 8, value.length & 0xff);
  return Uint8Array.from([...body(frame), ...header, ...value]);
}

const malformed = (problem: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Error && 'code' in error && error.code === 'malformed', String(error));
  assert.match(error.message, problem);
  return true;
};

const probe = encodePluginMessage({ kind: 'probe', seq: 9n });

// Written by hand from docs/design/keyfeed.md.
const golden = {
  hello: `0000002d 01
    0001 0002 0001
    0002 0010 00112233445566778899aabbccddeeff
    0003 0006 636861726f6e
    0004 0004 000003e8`,
  getSpi: `00000038 05
    0005 0008 0000000000000102
    0007 0000
    000a 0001 32
    000c 0007 04 01f4 c6120001
    000d 0013 06 1194 20010db8000000000000000000000001`,
  setupFailed: `0000001f 0e
    0038 0002 6777
    0039 0003 6ec3a9
    0008 0002 0002
    0009 0007 6e6f20726f6f6d`,
  result: `0000001b 43
    0005 0008 0000000000000102
    0008 0002 0000
    000b 0004 c0a80001`,
};

test('speaks the bytes of a HELLO written by hand', () => {
  const hello: PluginMessage = {
    kind: 'hello',
    version: 1,
    instance: '00112233445566778899aabbccddeeff',
    server: 'charon',
    deadlineMs: 1000,
    ageMs: undefined,
  };
  assert.deepEqual(decodePluginMessage(body(hex(golden.hello))), hello);
  assert.deepEqual(encodePluginMessage(hello), hex(golden.hello));
});

test('speaks the bytes of a GET_SPI written by hand, with an IPv6 address as in RFC 5952', () => {
  const getSpi: PluginMessage = {
    kind: 'get-spi',
    seq: 0x102n,
    protocol: 'esp',
    source: { address: '198.18.0.1', port: 500 },
    destination: { address: '2001:db8::1', port: 4500 },
  };
  assert.deepEqual(decodePluginMessage(body(hex(golden.getSpi))), getSpi);
  assert.deepEqual(encodePluginMessage(getSpi), hex(golden.getSpi));
});

test('speaks the bytes of a SETUP_FAILED written by hand, with a name as it is configured', () => {
  const failed: PluginMessage = {
    kind: 'setup-failed',
    ike: 'gw',
    child: 'né',
    code: 'try-again',
    reason: 'no room',
  };
  assert.deepEqual(decodePluginMessage(body(hex(golden.setupFailed))), failed);
  assert.deepEqual(encodePluginMessage(failed), hex(golden.setupFailed));
  // Latin-1, as charon takes it: the name is of no use, but no reason to hang up.
  const bytes = Buffer.from(body(hex(golden.setupFailed)));
  bytes.write('\u00e9\u00e9', bytes.indexOf('né') + 1, 'latin1');
  const latin = decodePluginMessage(bytes);
  assert.equal(latin.kind === 'setup-failed' && latin.child, 'n\ufffd\ufffd');
});

test('asks for failed setups by an attribute that an older plugin skips', () => {
  const greeting: AgentMessage = { kind: 'agent-hello', version: 1, server: 'x', wantsFailures: true };
  const frame = '0000 0010 40 0001 0002 0001 0003 0001 78 0037 0000';
  assert.deepEqual(encodeAgentMessage(greeting), hex(frame));
  assert.deepEqual(decodeAgentMessage(body(hex(frame))), greeting);
});

test('speaks the bytes of a RESULT written by hand', () => {
  const result: AgentMessage = {
    kind: 'result',
    seq: 0x102n,
    code: 'ok',
    reason: undefined,
    spi: 0xc0a80001,
  };
  assert.deepEqual(decodeAgentMessage(body(hex(golden.result))), result);
  assert.deepEqual(encodeAgentMessage(result), hex(golden.result));
});

test('lays out a traffic selector and a lifetime as the design page says', () => {
  const frame = Buffer.from(
    encodePluginMessage({
      kind: 'add-sa',
      seq: 1n,
      awaited: true,
      sa: sampleSa({
        sourceSelectors: [{ ...sampleSelector('198.19.1.1'), lastAddress: '198.19.1.9', protocol: 6 }],
        softLifetime: { seconds: 1n, bytes: 3n, packets: 5n },
        hardLifetime: { seconds: 2n, bytes: 4n, packets: undefined },
      }),
    }),
  ).toString('hex');
  assert.ok(frame.includes('0020000e' + '04' + '06' + '0000' + 'ffff' + 'c6130101' + 'c6130109'), frame);
  const lifetime = [1, 2, 3, 4, 5, 0].map((limit) => limit.toString(16).padStart(16, '0')).join('');
  assert.ok(frame.includes(`00170030${lifetime}`), frame);
});

test('gives back every message of the plugin that it encoded', () => {
  fc.assert(
    fc.property(pluginMessages, (message) => {
      const decoded = decodePluginMessage(body(encodePluginMessage(message)));
      assert.deepEqual(withVisibleKeys(decoded), withVisibleKeys(message));
    }),
  );
});

test('gives back every message of the agent that it encoded', () => {
  fc.assert(
    fc.property(agentMessages, (message) => {
      assert.deepEqual(decodeAgentMessage(body(encodeAgentMessage(message))), message);
    }),
  );
});

test('refuses every truncation of every message', () => {
  const messages: readonly PluginMessage[] = [
    { kind: 'get-spi', seq: 1n, protocol: 'esp', ...ends() },
    { kind: 'add-sa', seq: 1n, awaited: true, sa: sampleSa() },
    { kind: 'del-policy', seq: 1n, policy: samplePolicy() },
  ];
  for (const message of messages) {
    const frame = body(encodePluginMessage(message));
    const optional = optionalTail(message);
    for (let length = 0; length < frame.length - optional; length += 1) {
      assert.throws(
        () => decodePluginMessage(frame.subarray(0, length)),
        malformed(/at byte \d+$/),
        `${message.kind} ${length}`,
      );
    }
  }
});

test('never fails but with MalformedError on random bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
      try {
        decodePluginMessage(bytes);
      } catch (error) {
        assert.ok(error instanceof Error && 'code' in error);
        assert.ok(error.code === 'malformed' || error.code === 'unsupported', String(error));
      }
    }),
    tries(2_000),
  );
});

test('skips an unknown attribute and refuses a critical one, with its offset', () => {
  const value = Uint8Array.of(1, 2, 3);
  assert.deepEqual(decodePluginMessage(withAttribute(probe, 0x1234, value)), { kind: 'probe', seq: 9n });
  const offset = 1_000 + body(probe).length;
  assert.throws(
    () => decodePluginMessage(withAttribute(probe, 0x9234, value), 1_000),
    malformed(new RegExp(`critical attribute 37428, at byte ${offset}$`)),
  );
});

test('refuses a second attribute where one is allowed', () => {
  assert.throws(
    () => decodePluginMessage(withAttribute(probe, 5, new Uint8Array(8))),
    malformed(/second attribute 5/),
  );
  const policy = encodePluginMessage({ kind: 'del-policy', seq: 1n, policy: samplePolicy() });
  const selector = hex('04 00 0000 ffff c6130101 c6130101');
  assert.throws(() => decodePluginMessage(withAttribute(policy, 32, selector)), malformed(/second SRC_TS/));
});

test('refuses a value that is too short, too long or out of its range', () => {
  const cases = [
    ['01 0001 0001 01', /VERSION: 2 bytes expected, 1 there, at byte 5$/],
    ['01 0001 0003 000100', /VERSION: 1 trailing bytes, at byte 7$/],
    ['05 0007 0001 00', /AWAITED: 1 trailing bytes/],
    ['05 0007 0000 0005 0008 0000000000000001 000a 0001 33 000c 0007 05 0000 c6120001', /family 5/],
    ['05 0007 0000 0005 0008 0000000000000001 000a 0001 31', /PROTOCOL: 49 is none of 50, 51/],
    ['04 0008 0002 0001 0009 0002 ff00', /REASON: text is not UTF-8/],
    ['0d 0005 0008 0000000000000001', /probe without AWAITED/],
    ['40 0001 0002 0001', /the plugin sent a frame of type 64/],
    ['ff', /frame of type 255/],
  ] as const;
  for (const [bytes, problem] of cases) {
    assert.throws(() => decodePluginMessage(hex(bytes)), malformed(problem), bytes);
  }
  assert.throws(() => decodeAgentMessage(hex('01')), malformed(/the agent sent a frame of type 1/));
});

test('says which versions differ, whatever else that HELLO holds', () => {
  assert.throws(
    () => decodePluginMessage(hex('01 0001 0002 0007')),
    (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error && error.code === 'unsupported');
      assert.match(error.message, /speaks version 7 .* this agent version 1/);
      return true;
    },
  );
});

test('keeps no view into the frame: keys and labels survive its wiping', () => {
  const label = Uint8Array.of(1, 2, 3);
  const frame = encodePluginMessage({ kind: 'add-sa', seq: 1n, awaited: false, sa: sampleSa({ label }) });
  const message = decodePluginMessage(body(frame));
  frame.fill(0);
  assert.ok(message.kind === 'add-sa');
  assert.deepEqual(message.sa.label, label);
  assert.equal(
    message.sa.encrKey?.reveal((bytes) => bytes[0]),
    0xe0,
  );
});

function ends(): Pick<Extract<PluginMessage, { kind: 'get-spi' }>, 'source' | 'destination'> {
  return {
    source: { address: '198.18.0.1', port: 500 },
    destination: { address: '2001:db8::1', port: 500 },
  };
}

/** How many bytes at the end are attributes the message may lack. */
function optionalTail(message: PluginMessage): number {
  // The last SRC_TS and DST_TS of an SA are repeated ones: none is an empty list.
  return message.kind === 'add-sa' ? 2 * (4 + 14) : 0;
}
