import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../support/index.ts';
import { ComposedGateway } from './support/gateway.ts';
import { Project } from './support/project.ts';

let project: Project;
let left: ComposedGateway;

before(async () => {
  project = await Project.create();
  left = new ComposedGateway(project, 'left');
  const unused = /^right/;
  await project.start(project.services('stock').filter((name) => !unused.test(name)));
});

after(() => project[Symbol.asyncDispose]());

test('profile stock: pings between a client of ours and one of a strongSwan without the plugin', async () => {
  await left.waitReady();
  await eventually(
    'the stock charon has its connections',
    () => project.run('stock', 'charon-healthy').then(() => true),
    {
      timeoutMs: 30_000,
      intervalMs: 250,
    },
  );
  const loaded = await project.run('stock', 'swanctl', '--stats');
  assert.match(loaded, /kernel-libipsec/);
  assert.doesNotMatch(loaded, /kernel-lagopus/);
  // The first packet sets the tunnel up.
  await project.exec(left.client, ['ping', '-c', '3', '-W', '2', '198.19.3.3']);
  await project.run(left.client, 'ping', '-c', '2', '-W', '2', '198.19.3.3');
  await project.run('stock-client', 'ping', '-c', '2', '-W', '2', left.clientAddress);
  assert.match(await left.ask('sad'), /udp.*net-stock/);
});

test('the agent of profile stock rekeys as well as its peer does', async () => {
  await left.swan('--rekey', '--child', 'net-stock');
  await project.run(left.client, 'ping', '-c', '2', '-W', '2', '198.19.3.3');
  await project.run('stock', 'swanctl', '--rekey', '--child', 'net-left');
  await project.run(left.client, 'ping', '-c', '2', '-W', '2', '198.19.3.3');
});
