import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHILD_NAME, type NetNamespace } from '../../support/index.ts';
import { logged, Rig } from './rig.ts';

const PORT = 4_500;

/** How many datagrams the NAT-T socket of that family did not take. */
async function drops(namespace: NetNamespace, table: 'udp' | 'udp6'): Promise<number> {
  const { stdout } = await namespace.run(['cat', `/proc/net/${table}`]);
  const port = PORT.toString(16).toUpperCase();
  const sockets = stdout.split('\n').map((line) => line.trim().split(/\s+/));
  return Number(sockets.find(([, local]) => local?.endsWith(`:${port}`))?.at(-1));
}

/** Sends datagrams, given in hex, to a NAT-T port. */
async function send(from: NetNamespace, address: string, datagrams: readonly string[]): Promise<void> {
  const type = address.includes(':') ? 'udp6' : 'udp4';
  await from.run([
    process.execPath,
    '-e',
    `const socket = require('node:dgram').createSocket('${type}');
     let left = ${datagrams.length};
     for (const hex of ${JSON.stringify(datagrams)})
       socket.send(Buffer.from(hex, 'hex'), ${PORT}, '${address}', () => { if (--left === 0) socket.close(); });`,
  ]);
}

test('charon gets IKE messages only: ESP and NAT keepalives are dropped before they wake it', async () => {
  await using rig = await Rig.start({ tunnel: { isEncapsulated: true } });
  const { left, right } = rig.sites;
  await left.namespace.run(['ip', 'address', 'add', '2001:db8::1/64', 'dev', 'eth0', 'nodad']);
  await right.namespace.run(['ip', 'address', 'add', '2001:db8::2/64', 'dev', 'eth0', 'nodad']);
  const esp = `c0ffee00${'00000001'}${'ab'.repeat(64)}`;
  const datagrams = [...Array<string>(100).fill(esp), 'ff', '', '00', '000000'];
  for (const [table, address] of [
    ['udp', left.outer],
    ['udp6', '2001:db8::1'],
  ] as const) {
    const before = await drops(left.namespace, table);
    await send(right.namespace, address, datagrams);
    assert.equal((await drops(left.namespace, table)) - before, datagrams.length);
    // a non-ESP marker lets through even what is not IKE
    await send(right.namespace, address, ['00000000', `00000000${'00'.repeat(28)}`]);
    assert.equal((await drops(left.namespace, table)) - before, datagrams.length);
  }
  await rig.initiate();
  await rig.left.swanctl.rekey({ child: CHILD_NAME });
  await logged(rig.left, /outbound CHILD_SA net\{2\} established/);
});
