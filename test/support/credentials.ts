import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from './command.ts';

/** A certification authority of one test, with P-256 keys that live as long as the test's directory. */
export class TestCa {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async create(dir: string): Promise<TestCa> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await command([
      ...(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] as const),
      ...['-nodes', '-days', '2', '-subj', '/CN=Test CA', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
      ...['-keyout', join(dir, 'ca.key'), '-out', join(dir, 'ca.pem')],
    ]);
    return new TestCa(dir);
  }

  /** Issues a certificate for an identity and puts it, its key and the CA where swanctl looks. */
  async issueTo(identity: string, swanctlDir: string): Promise<void> {
    for (const folder of ['x509', 'x509ca', 'private']) {
      await mkdir(join(swanctlDir, folder), { recursive: true, mode: 0o700 });
    }
    const request = join(this.#dir, `${identity}.csr`);
    const extensions = join(this.#dir, `${identity}.ext`);
    await writeFile(extensions, `subjectAltName=DNS:${identity}\n`);
    await command([
      ...(['openssl', 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'] as const),
      ...['-subj', `/CN=${identity}`, '-keyout', join(swanctlDir, 'private', 'key.pem'), '-out', request],
    ]);
    await command([
      ...(['openssl', 'x509', '-req', '-in', request, '-days', '2', '-extfile', extensions] as const),
      ...['-CA', join(this.#dir, 'ca.pem'), '-CAkey', join(this.#dir, 'ca.key'), '-CAcreateserial'],
      ...['-out', join(swanctlDir, 'x509', 'cert.pem')],
    ]);
    await copyFile(join(this.#dir, 'ca.pem'), join(swanctlDir, 'x509ca', 'ca.pem'));
  }
}
