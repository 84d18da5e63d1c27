import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { DataplaneProcess, Lab } from '../../support/index.ts';

it('warns of a kernel that routes around its TUN device when the process is gone', async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace('linkdown');
  await namespace.sysctl('net.ipv4.conf.all.ignore_routes_with_linkdown', '1');
  await using dataplane = await DataplaneProcess.start({ namespace, dir: lab.dir });
  const log = await readFile(dataplane.process.logPath, 'utf8');
  assert.match(log, /conf\/all\/ignore_routes_with_linkdown.*in clear/);
});
