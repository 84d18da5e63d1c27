import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Deployment, type IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import { parse } from 'yaml';
import { readComposeFile } from '../containers/support/compose-file.ts';
import { CommandError, command, inRepository } from '../support/index.ts';

const MANIFEST = inRepository('strongswan-conf', 'kubernetes', 'gateway.yaml');
const manifest: IDeployment = parse(readFileSync(MANIFEST, 'utf8'));

/**
 * Kubernetes' schema says what a known key may be; that a key is unknown, only the types made from it do.
 * What the compiler finds, or nothing.
 */
async function unknownKeys(value: unknown): Promise<string> {
  mkdirSync(inRepository('build'), { recursive: true });
  const dir = mkdtempSync(inRepository('build', 'kubernetes-'));
  try {
    const file = join(dir, 'manifest.ts');
    writeFileSync(
      file,
      `import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';\n` +
        `export const manifest: IDeployment = ${JSON.stringify(value, undefined, 2)};\n`,
    );
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', '--types', 'node'];
    await command([inRepository('node_modules', '.bin', 'tsc'), ...options, '--ignoreConfig', file], {
      timeoutMs: 60_000,
    });
    return '';
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return error.stdout;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test("the manifest is valid by Kubernetes' schema", async () => {
  assert.doesNotThrow(() => new Deployment(manifest).validate());
  assert.equal(await unknownKeys(manifest), '');
});

test('a manifest with a wrong value or an unknown key is not', async () => {
  const wrong = structuredClone(manifest);
  const [container] = wrong.spec?.template.spec?.containers ?? [];
  assert(container !== undefined);
  const replicas: unknown = 'two';
  const mistyped = structuredClone(manifest);
  Object.assign(mistyped.spec ?? {}, { replicas });
  assert.throws(() => new Deployment(mistyped).validate(), /replicas must be integer/);
  Object.assign(container, { securtyContext: {} });
  assert.match(await unknownKeys(wrong), /securtyContext/);
});

test('each container of the pod is run as compose.yaml runs it', () => {
  const { services } = readComposeFile();
  const spec = manifest.spec?.template.spec;
  assert.deepEqual(spec?.containers.map(({ name }) => name).sort(), ['agent', 'dataplane', 'strongswan']);
  for (const { name, securityContext } of spec?.containers ?? []) {
    const service = services[`left-${name}`];
    assert(service !== undefined, name);
    assert.deepEqual(securityContext?.capabilities?.drop, service.cap_drop, name);
    assert.deepEqual(securityContext?.capabilities?.add ?? [], service.cap_add, name);
    assert.equal(securityContext?.readOnlyRootFilesystem, service.read_only, name);
    assert.equal(securityContext?.allowPrivilegeEscalation, false, name);
    assert.equal(securityContext?.runAsUser, name === 'agent' ? 4500 : 0, name);
    assert.equal(securityContext?.runAsGroup, 4500, name);
  }
  assert.equal(spec?.securityContext?.fsGroup, 4500);
});
