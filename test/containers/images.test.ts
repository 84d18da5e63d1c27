import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { before, test } from 'node:test';
import { type ContainerRuntimeClient, getContainerRuntimeClient } from 'testcontainers';
import { z } from 'zod';
import { inRepository } from '../support/index.ts';
import { TAG } from './support/compose-file.ts';
import { withoutHeaders } from './support/log-stream.ts';
import { TEST_LABEL } from './support/service-container.ts';

const PRODUCT = ['strongswan', 'agent', 'dataplane'] as const;
const MEGABYTE = 1e6;
/** Of the whole image, base included; docs/containers.md has what they are. */
const LIMITS_MB = { strongswan: 220, agent: 320, dataplane: 320 };

let client: ContainerRuntimeClient;

before(async () => {
  client = await getContainerRuntimeClient();
});

function imageOf(name: string): string {
  return `lagopus-ipsec-agent/${name}:${TAG}`;
}

/** What a shell in a new container of the image prints. */
async function printed(name: string, script: string): Promise<string> {
  const { dockerode } = client.container;
  const container = await dockerode.createContainer({
    Image: imageOf(name),
    Entrypoint: ['sh', '-c'],
    Cmd: [script],
    Labels: { [TEST_LABEL]: 'images' },
    HostConfig: { NetworkMode: 'none' },
  });
  try {
    await container.start();
    await container.wait();
    return withoutHeaders(await container.logs({ stdout: true, stderr: true, follow: false }));
  } finally {
    await container.remove({ force: true, v: true });
  }
}

/** Whether any of the words is in the image: its layers, its configuration and its history. */
async function contains(name: string, words: readonly string[]): Promise<string | undefined> {
  const longest = Math.max(...words.map((word) => word.length));
  let end = Buffer.alloc(0);
  for await (const chunk of await client.container.dockerode.getImage(imageOf(name)).get()) {
    const piece = Buffer.concat([end, Buffer.from(chunk)]);
    const found = words.find((word) => piece.includes(word));
    if (found !== undefined) return found;
    end = piece.subarray(Math.max(0, piece.length - longest));
  }
  return undefined;
}

for (const name of PRODUCT) {
  test(`${name}: labels, user, health check and size`, async (t) => {
    const { Config, Size } = await client.container.dockerode.getImage(imageOf(name)).inspect();
    const { version } = z
      .object({ version: z.string() })
      .parse(JSON.parse(await readFile(inRepository('package.json'), 'utf8')));
    assert.equal(Config.User, name === 'agent' ? '4500:4500' : '0:4500');
    assert.equal(Config.Labels['org.opencontainers.image.version'], version);
    for (const label of ['title', 'description', 'licenses']) {
      assert(Config.Labels[`org.opencontainers.image.${label}`], label);
    }
    const { Healthcheck } = z.object({ Healthcheck: z.object({ Test: z.array(z.string()) }) }).parse(Config);
    assert.equal(Healthcheck.Test[0], 'CMD');
    t.diagnostic(`${name}: ${Math.round(Size / MEGABYTE)} MB`);
    assert(Size < LIMITS_MB[name] * MEGABYTE, `${Size} bytes`);
  });

  test(`${name}: no compiler, no package manager of Node's, no source`, async () => {
    const found = await printed(
      name,
      'for program in cc gcc g++ c++ ld make tsc npm npx python3; do command -v $program; done; ls -d /src /app/src /app/native 2>/dev/null; true',
    );
    assert.equal(found, '');
  });

  test(`${name}: no key of the examples in any layer, nor where keys lie`, async () => {
    assert.equal(await contains(name, ['demonstration key']), undefined);
    assert.equal(
      await printed(
        name,
        'find /etc/swanctl -type f ! -name swanctl.conf 2>/dev/null; grep -c "^ *secret" /etc/swanctl/swanctl.conf 2>/dev/null; true',
      ),
      name === 'strongswan' ? '0\n' : '',
    );
  });
}
