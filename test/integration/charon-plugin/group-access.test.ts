import assert from 'node:assert/strict';
import { chmod, stat } from 'node:fs/promises';
import { test } from 'node:test';
import { command } from '../../support/index.ts';
import { Rig } from './rig.ts';

/** Connects as somebody, and prints how that ended: `hello`, with the plugin's first bytes, or an error. */
async function connectAs(path: string, ids: readonly string[]): Promise<string> {
  const script = `
    const socket = require('node:net').connect(${JSON.stringify(path)});
    socket.once('data', (bytes) => { console.log(bytes.toString('latin1').includes('not permitted') ? 'refused' : 'answered'); socket.destroy(); });
    socket.once('error', (error) => console.log(error.code));`;
  const { stdout } = await command(['setpriv', ...ids, process.execPath, '-e', script]);
  return stdout.trim();
}

test('with group_access the socket is open to charon.group, and to nobody else', async () => {
  await using rig = await Rig.start({ plugin: { group_access: true }, charon: { group: 'nogroup' } });
  await rig.killAgent();
  const path = rig.left.pluginSocket;
  const { mode, uid, gid } = await stat(path);
  assert.deepEqual([mode & 0o777, uid, gid], [0o660, 0, 65534]);
  // the way to it is open: its mode decides alone
  await chmod(rig.lab.dir, 0o711);
  await chmod(rig.sites.left.dir, 0o711);
  const member = ['--reuid=65533', '--regid=65534', '--clear-groups'];
  const stranger = ['--reuid=65533', '--regid=65533', '--clear-groups'];
  assert.equal(await connectAs(path, member), 'answered');
  assert.equal(await connectAs(path, stranger), 'EACCES');
});
