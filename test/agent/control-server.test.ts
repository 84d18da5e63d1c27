import assert from 'node:assert/strict';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { type ControlHandlers, startControlServer } from '../../src/agent/control-server.ts';
import { AgentError, silentLogger } from '../../src/util/index.ts';
import { TempDir } from '../support/temp-dir.ts';

const unused: ControlHandlers = {
  status: () => assert.fail('nobody asks'),
  sad: () => assert.fail('nobody asks'),
  diff: () => assert.fail('nobody asks'),
  plan: () => assert.fail('nobody asks'),
  explain: () => assert.fail('nobody asks'),
};

function isRefusedAs(code: string): (error: unknown) => boolean {
  return (error) => error instanceof AgentError && error.code === code;
}

test('removes nothing but a socket from the place of its own', async () => {
  await using dir = new TempDir();
  const path = dir.file('agent.yaml');
  writeFileSync(path, 'precious');
  await assert.rejects(startControlServer(path, unused, silentLogger), isRefusedAs('invalid-input'));
  assert.equal(readFileSync(path, 'utf8'), 'precious');
});

test("leaves a live agent's socket alone", async () => {
  await using dir = new TempDir();
  const path = dir.file('agent.sock');
  await using _first = await startControlServer(path, unused, silentLogger);
  await assert.rejects(startControlServer(path, unused, silentLogger), isRefusedAs('busy'));
});

test("takes the place of a dead agent's socket, for its owner alone", async () => {
  await using dir = new TempDir();
  const path = dir.file('agent.sock');
  const dead = createServer();
  await new Promise<void>((resolve) => dead.listen({ path, readableAll: true }, resolve));
  // Closing would remove the file; a process that is killed leaves it.
  renameSync(path, `${path}.kept`);
  await new Promise<void>((resolve) => dead.close(() => resolve()));
  renameSync(`${path}.kept`, path);
  await using _agent = await startControlServer(path, unused, silentLogger);
  assert.ok(statSync(path).isSocket());
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('opens its socket to the group where that is wished, and to nobody else', async () => {
  await using dir = new TempDir();
  const path = dir.file('agent.sock');
  await using _agent = await startControlServer(path, unused, silentLogger, { groupAccess: true });
  assert.equal(statSync(path).mode & 0o777, 0o660);
});
