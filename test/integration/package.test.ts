import assert from 'node:assert/strict';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  type Argv,
  CommandError,
  type CommandResult,
  command,
  inRepository,
  Lab,
  ROOT,
  TempDir,
} from '../support/index.ts';

const dir = new TempDir();
const packageDir = dir.file('package');
const program = join(packageDir, 'bin', 'ipsec-agent');
const NODE_DIR = dirname(process.execPath);

/** Runs a command with nothing of this process's environment but a PATH. */
function runWith(pathFolders: readonly string[], ...argv: Argv): Promise<CommandResult> {
  const path = [...pathFolders, '/usr/sbin', '/usr/bin', '/sbin', '/bin'].join(':');
  return command(['env', '-i', `PATH=${path}`, ...argv], { timeoutMs: 60_000 });
}

async function failureOf(run: Promise<CommandResult>): Promise<CommandError> {
  const failure = await run.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert(failure instanceof CommandError, 'it succeeded');
  return failure;
}

before(async () => {
  await command(['npm', 'pack', '--pack-destination', dir.path, ROOT], { timeoutMs: 120_000 });
  await command(['sh', '-c', `tar -xzf '${dir.path}'/lagopus-ipsec-agent-*.tgz -C '${dir.path}'`]);
  // What npm would have installed beside it.
  await symlink(inRepository('node_modules'), join(packageDir, 'node_modules'));
});

after(() => dir[Symbol.asyncDispose]());

test('an installed package runs on a Node that is new enough', async () => {
  const { stdout } = await runWith([NODE_DIR], program, '--version');
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test('on an older Node it says what to do', async () => {
  const oldNodeDir = dir.file('old-node');
  await mkdir(oldNodeDir);
  await writeFile(join(oldNodeDir, 'node'), '#!/bin/sh\necho 20\n');
  await chmod(join(oldNodeDir, 'node'), 0o755);
  const { status, stderr } = await failureOf(runWith([oldNodeDir], program, '--version'));
  assert.equal(status, 1);
  assert.match(stderr, /needs Node 24 or newer: run `sh .*install-package\.sh`/);
});

test('where npm skipped the install script, the dataplane names the script to run; after it, it starts', async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace('package');
  const config = dir.file('dataplane.yaml');
  await writeFile(config, `listen: unix://${dir.file('dataplane.sock')}\n`);
  const start = ['timeout', '3', program, 'dataplane', '--config', config] as const;
  const startFor3s = (): Promise<CommandError> => failureOf(runWith([NODE_DIR], ...namespace.argv(start)));

  assert.match((await startFor3s()).stderr, /native addon cannot be loaded.*install-package\.sh/);
  await runWith([NODE_DIR], 'sh', join(packageDir, 'scripts', 'install-package.sh'));
  assert.match((await startFor3s()).stderr, /dataplane ready/);
});
