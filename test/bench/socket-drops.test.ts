import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parseRcvbufErrors } from '../../bench/path/socket-drops.ts';

test('the count stands under its name', () => {
  const snmp = [
    'Icmp: InMsgs InErrors',
    'Icmp: 7 8',
    'Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors',
    'Udp: 84484 0 164 84178 163 0',
    'UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors',
    'UdpLite: 0 0 0 0 1 0',
  ].join('\n');
  assert.equal(parseRcvbufErrors(snmp), 163);
});

test("this machine's kernel has it", async () => {
  assert(parseRcvbufErrors(await readFile('/proc/net/snmp', 'utf8')) >= 0);
});

test('without it there is no figure', () => {
  assert.throws(() => parseRcvbufErrors('Udp: InDatagrams\nUdp: 1\n'), /no RcvbufErrors/);
});
