import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type ChannelCredentials, Client, credentials, Server } from '@grpc/grpc-js';
import { listen } from '../../src/server/listen.ts';

const noTls = { groupAccess: false, tls: undefined, insecure: false };

function openssl(dir: string, ...args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' });
}

/** A CA, and a server's and a client's certificate of it, for 127.0.0.1. */
function makeCertificates(dir: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
  openssl(
    dir,
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=test CA',
    '-days',
    '2',
  );
  for (const name of ['server', 'client']) {
    openssl(dir, 'req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    writeFileSync(join(dir, 'san'), 'subjectAltName=IP:127.0.0.1');
    const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'san'];
    openssl(dir, 'x509', '-req', '-in', `${name}.csr`, ...signer, '-out', `${name}.pem`);
  }
}

function canConnect(target: string, creds: ChannelCredentials): Promise<boolean> {
  const client = new Client(target, creds);
  return new Promise((resolve) => {
    client.waitForReady(Date.now() + 1_000, (error) => {
      client.close();
      resolve(error === undefined || error === null);
    });
  });
}

describe('listening', () => {
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'lagopus-listen-'));
  });
  after(() => rmSync(dir, { recursive: true }));

  it('makes a private directory and socket, and leaves the umask as it was', async () => {
    const umask = process.umask();
    const path = join(dir, 'new', 'a.sock');
    const server = new Server();
    await listen(server, { listen: `unix://${path}`, ...noTls });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(join(dir, 'new')).mode & 0o777, 0o700);
    assert.equal(process.umask(), umask);
    server.forceShutdown();
  });

  it('opens the socket to its group where that is wished, and to nobody else', async () => {
    const path = join(dir, 'shared', 'a.sock');
    const server = new Server();
    await listen(server, { listen: `unix://${path}`, ...noTls, groupAccess: true });
    assert.equal(statSync(path).mode & 0o777, 0o660);
    assert.equal(statSync(join(dir, 'shared')).mode & 0o777, 0o750);
    server.forceShutdown();
  });

  it('does not take a socket from a process that answers, nor remove a file', async () => {
    const path = join(dir, 'taken.sock');
    const other: NetServer = createServer().listen(path);
    await assert.rejects(listen(new Server(), { listen: `unix://${path}`, ...noTls }), { code: 'busy' });
    other.close();
    const file = join(dir, 'file');
    writeFileSync(file, 'keep me');
    await assert.rejects(listen(new Server(), { listen: `unix://${file}`, ...noTls }), /not a socket/);
    assert.equal(readFileSync(file, 'utf8'), 'keep me');
  });

  it('answers on TCP only clients with a certificate of its CA', async () => {
    makeCertificates(dir);
    const at = (name: string): string => join(dir, name);
    const server = new Server();
    const tls = { ca: at('ca.pem'), cert: at('server.pem'), key: at('server.key') };
    const port = await listen(server, { listen: 'tcp://127.0.0.1:0', ...noTls, tls });
    const target = `127.0.0.1:${port}`;
    const [ca, key, cert] = ['ca.pem', 'client.key', 'client.pem'].map((name) => readFileSync(at(name)));
    assert.ok(ca && key && cert);
    assert.equal(await canConnect(target, credentials.createSsl(ca, key, cert)), true);
    assert.equal(await canConnect(target, credentials.createSsl(ca)), false);
    assert.equal(await canConnect(target, credentials.createInsecure()), false);
    server.forceShutdown();
  });

  it('says where it could not', async () => {
    const lost = { listen: 'tcp://192.0.2.1:1', ...noTls, insecure: true };
    await assert.rejects(listen(new Server(), lost), /cannot listen on tcp:\/\/192\.0\.2\.1:1/);
  });
});
