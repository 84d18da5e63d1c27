import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SecretBytes } from '../../../src/util/index.ts';
import {
  changePolicy,
  deletePolicy,
  deleteSa,
  policyEntryName,
  setPolicy,
  setSa,
} from '../../../src/vsw/driver/config-paths.ts';
import { type PolicyRequest, parsePolicyRequest } from '../../../src/vsw/driver/policy-request.ts';
import { parseSaRequest, type SaRequest } from '../../../src/vsw/driver/sa-request.ts';
import type { Change } from '../../../src/vsw/relay/index.ts';
import { samplePolicy, sampleSa } from './rig.ts';

const vrfOf = (): string => 'vrf1';

function text(changes: readonly Change[]): readonly string[] {
  return changes.map(({ kind, path }) => `${kind} ${path.join(' ')}`);
}

function sa(options: Parameters<typeof sampleSa>[0]): SaRequest {
  return parseSaRequest(sampleSa(options).addSa?.sa, { via: 'relay', vrfOf });
}

function policy(spi: number): PolicyRequest {
  return parsePolicyRequest(samplePolicy({ direction: 'outbound', spi }).putPolicy?.policy, vrfOf);
}

const sad = 'network-instances network-instance vrf1 security ipsec sad sad-entries 4294967295';

describe('what vsw is told through its configuration', () => {
  it('is a whole AES-GCM SA in UDP, its SPI as an unsigned number', () => {
    const request = sa({
      direction: 'outbound',
      spi: 0xffffffff,
      with: {
        encryptionKey: Buffer.from(Array.from({ length: 20 }, (_, i) => i)),
        udpEncapsulation: { sourcePort: 4500, destinationPort: 4501 },
        hardLifetime: { seconds: 3600n, bytes: 0n, packets: 0n },
      },
    });
    assert.deepEqual(text(setSa(request)), [
      `set ${sad} config sa-mode tunnel`,
      `set ${sad} config life-time life-time-in-seconds 3600`,
      `set ${sad} config local-peer ipv4-address 198.18.0.1`,
      `set ${sad} config remote-peer ipv4-address 198.18.0.2`,
      `set ${sad} config esp encryption aes-128-gcm key-str 000102030405060708090a0b0c0d0e0f10111213`,
      `set ${sad} config encap-protocol udp`,
      `set ${sad} config encap-src-port 4500`,
      `set ${sad} config encap-dst-port 4501`,
    ]);
    assert.deepEqual(text(deleteSa(request)), [`delete ${sad}`]);
  });

  it('is an AES-CBC SA with 40 digits of HMAC key; the local peer of an inbound one is the remote gateway', () => {
    const request = sa({
      direction: 'inbound',
      spi: 0xffffffff,
      with: {
        encryption: 12,
        encryptionKey: Buffer.alloc(16, 0xab),
        integrity: 2,
        integrityKey: Buffer.alloc(20, 0xcd),
      },
    });
    assert.deepEqual(text(setSa(request)), [
      `set ${sad} config sa-mode tunnel`,
      `set ${sad} config local-peer ipv4-address 198.18.0.2`,
      `set ${sad} config remote-peer ipv4-address 198.18.0.1`,
      `set ${sad} config esp encryption aes-128-cbc key-str ${'ab'.repeat(16)}`,
      `set ${sad} config esp authentication hmac-sha1-96 key-str ${'cd'.repeat(20)}`,
    ]);
  });

  it('is a whole policy, of a name nobody else has; a move is one leaf', () => {
    const before = policy(5000);
    const name = policyEntryName(before.name);
    assert.match(name, /^ipsec-agent-[0-9a-f]{16}$/);
    assert.notEqual(name, policyEntryName({ ...before.name, vrf: 'vrf2' }));
    const spd = `network-instances network-instance vrf1 security ipsec spd spd-entries ${name}`;
    assert.deepEqual(text(setPolicy(before)), [
      `set ${spd} config spi 5000`,
      `set ${spd} config direction outbound`,
      `set ${spd} config priority ${0x1fffffff - 1000}`,
      `set ${spd} config policy protect`,
      `set ${spd} config security-protocol esp`,
      `set ${spd} config upper-protocol any`,
      `set ${spd} config source-address ipv4-address 198.19.1.0`,
      `set ${spd} config source-address prefix-length 24`,
      `set ${spd} config destination-address ipv4-address 198.19.2.0`,
      `set ${spd} config destination-address prefix-length 24`,
    ]);
    assert.deepEqual(text(changePolicy(before, policy(5001))), [`set ${spd} config spi 5001`]);
    assert.deepEqual(text(changePolicy(before, before)), []);
    assert.deepEqual(text(deletePolicy(before.name)), [`delete ${spd}`]);
  });

  it('keeps keys out of what prints an SA', () => {
    const request = sa({ direction: 'outbound', spi: 5000, with: { encryptionKey: Buffer.alloc(20, 0xee) } });
    assert.ok(request.encryptionKey instanceof SecretBytes);
    assert.ok(
      !JSON.stringify(request, (_, value) => (typeof value === 'bigint' ? 0 : value)).includes('238,238'),
    );
    assert.equal(request.listed.encryptionKey.length, 0);
  });
});
