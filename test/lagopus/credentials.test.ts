import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ServerCredentials } from '@grpc/grpc-js';
import { LagopusDataplane, type TlsFiles } from '../../src/lagopus/index.ts';
import { TestCa } from '../support/credentials.ts';
import { FakeDataplane } from '../support/fake-dataplane.ts';
import { TempDir } from '../support/temp-dir.ts';

function filesIn(dir: string): TlsFiles {
  return {
    ca: `${dir}/x509ca/ca.pem`,
    cert: `${dir}/x509/cert.pem`,
    key: `${dir}/private/key.pem`,
    serverName: 'dataplane',
  };
}

test('speaks TCP with mutual TLS, and only to a dataplane of its own CA', async () => {
  await using dir = new TempDir();
  await using server = new FakeDataplane(dir.file('unused.sock'));
  const ca = await TestCa.create(dir.file('ca'));
  await ca.issueTo('dataplane', dir.file('dataplane'));
  await ca.issueTo('agent', dir.file('agent'));
  const other = await TestCa.create(dir.file('other-ca'));
  await other.issueTo('stranger', dir.file('stranger'));
  const ours = filesIn(dir.file('dataplane'));
  const port = await server.start(
    '127.0.0.1:0',
    ServerCredentials.createSsl(
      await readFile(ours.ca),
      [{ private_key: await readFile(ours.key), cert_chain: await readFile(ours.cert) }],
      true,
    ),
  );
  const open = (tls: TlsFiles): Promise<LagopusDataplane> =>
    LagopusDataplane.open({ target: `127.0.0.1:${port}`, ownerId: 'test', tls, callDeadlineMs: 1_000 });

  await using agent = await open(filesIn(dir.file('agent')));
  assert.equal((await agent.capabilities()).bootId, server.bootId);
  const unknownClient = { ...filesIn(dir.file('stranger')), ca: ours.ca };
  for (const tls of [
    unknownClient,
    filesIn(dir.file('stranger')),
    { ...filesIn(dir.file('agent')), serverName: 'somebody' },
  ]) {
    await using refused = await open(tls);
    await assert.rejects(refused.capabilities(), { name: 'AgentError' });
  }
});

test('speaks plain TCP only when a person allowed it', async () => {
  const target = '198.18.0.1:4443';
  await assert.rejects(LagopusDataplane.open({ target, ownerId: 'test' }), {
    code: 'invalid-input',
    message: /insecure: true/,
  });
  await using dataplane = await LagopusDataplane.open({ target, ownerId: 'test', isInsecure: true });
  assert.ok(dataplane);
});

test('says which TLS file cannot be read', async () => {
  const tls = { ca: '/nonexistent/ca.pem', cert: '/nonexistent/cert.pem', key: '/nonexistent/key.pem' };
  await assert.rejects(LagopusDataplane.open({ target: '198.18.0.1:4443', tls, ownerId: 'test' }), {
    code: 'invalid-input',
    message: /cannot read \/nonexistent\/\w+\.pem: ENOENT/,
  });
});
