import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseViciSelector } from '../../src/agent/vici-selector.ts';

const ANY = { protocol: 0, ports: { first: 0, last: 65_535 } };

test('reads subnets, addresses and ranges as charon prints them', () => {
  assert.deepEqual(parseViciSelector('198.19.1.0/24'), {
    ...{ firstAddress: '198.19.1.0', lastAddress: '198.19.1.255' },
    ...ANY,
  });
  assert.deepEqual(parseViciSelector('198.19.1.4/30')?.lastAddress, '198.19.1.7');
  assert.deepEqual(parseViciSelector('0.0.0.0/0')?.lastAddress, '255.255.255.255');
  assert.deepEqual(parseViciSelector('198.19.1.7/32')?.firstAddress, '198.19.1.7');
  assert.deepEqual(parseViciSelector('198.19.1.5..198.19.1.9'), {
    ...{ firstAddress: '198.19.1.5', lastAddress: '198.19.1.9' },
    ...ANY,
  });
  assert.deepEqual(parseViciSelector('2001:db8::/62')?.lastAddress, '2001:db8:0:3:ffff:ffff:ffff:ffff');
});

test('reads protocols and ports, and leaves out what is only a name', () => {
  const limits = (text: string): unknown => {
    const { protocol, ports } = parseViciSelector(`198.19.1.0/24[${text}]`) ?? {};
    return [protocol, ports];
  };
  assert.deepEqual(limits('tcp'), [6, ANY.ports]);
  assert.deepEqual(limits('udp/4789'), [17, { first: 4789, last: 4789 }]);
  assert.deepEqual(limits('132/1000-2000'), [132, { first: 1000, last: 2000 }]);
  assert.deepEqual(limits('tcp/http'), [6, undefined]);
  assert.deepEqual(limits('tcp/OPAQUE'), [6, undefined]);
  assert.deepEqual(limits('icmp/8(0)'), [1, undefined]);
  assert.deepEqual(limits('whatever'), [undefined, ANY.ports]);
});

test('reads nothing into what is no selector', () => {
  for (const text of [
    '',
    'dynamic',
    '198.19.1.0/33',
    '198.19.1/24',
    '198.19.1.0/x',
    '198.19.1.0/24[',
    'a..b',
  ]) {
    assert.equal(parseViciSelector(text), undefined, text);
  }
});
