import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Argv, CommandError, command, inRepository } from '../../test/support/index.ts';

/** A program that lists all SAs of a socket and exits. */
export type ListClient = {
  readonly name: string;
  readonly argv: (socketPath: string) => Argv;
};

const SWANCTL_CONF = 'swanctl {\n  load = random sha1 sha2 openssl pem pkcs1 pkcs8 x509 pubkey\n}\n';

const OURS = `
const { ViciClient } = await import(process.argv[1]);
const [uri, method, expected] = process.argv.slice(2);
const vici = new ViciClient({ uri });
const ids = new Set();
for await (const { uniqueId } of vici[method]()) ids.add(uniqueId);
await vici[Symbol.asyncDispose]();
if (ids.size !== Number(expected)) throw new Error(\`\${ids.size} of \${expected} SAs\`);
`;

const PYTHON = `
import socket, sys, vici
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
count = sum(1 for _ in vici.Session(s).list_sas())
assert count == int(sys.argv[2]), count
`;

/** The package as it is installed: JavaScript, not TypeScript. */
export async function compileClient(): Promise<string> {
  const outDir = inRepository('build', 'bench', 'dist');
  await command(['tsc', '-p', inRepository('tsconfig.build.json'), '--outDir', outDir], {
    timeoutMs: 120_000,
  });
  return join(outDir, 'vici', 'index.js');
}

/** Our client with one of its methods. It checks that nothing was lost. */
export function ownClient(module: string, method: 'listSas' | 'listSaSummaries', sas: number): ListClient {
  return {
    name: `lagopus-ipsec-agent/vici ${method}`,
    argv: (path) => [
      ...([process.execPath, '--input-type=module', '-e', OURS] as const),
      ...[module, `unix://${path}`, method, String(sas)],
    ],
  };
}

/** strongSwan's own, without plugins that it does not need here: it starts faster. */
export async function swanctlClient(dir: string): Promise<ListClient> {
  const conf = join(dir, 'strongswan.conf');
  await writeFile(conf, SWANCTL_CONF);
  const swanctl = inRepository('build', 'test-tools', 'swanctl');
  return {
    name: 'swanctl --raw',
    argv: (path) => [
      'env',
      `STRONGSWAN_CONF=${conf}`,
      swanctl,
      '--list-sas',
      '--raw',
      '--uri',
      `unix://${path}`,
    ],
  };
}

/** Where it is in strongSwan's source package, which setup has fetched for the plugin's headers. */
const PYTHON_MEMBERS = '*/src/libcharon/plugins/vici/python/vici';

/** strongSwan's Python client from its source package; undefined on a machine without Python. */
export async function pythonClient(dir: string, sas: number): Promise<ListClient | undefined> {
  const sources = inRepository('.tools', 'strongswan');
  const packages = join(dir, 'python');
  await mkdir(packages);
  const tarball = (await readdir(sources)).find((name) => name.endsWith('.orig.tar.bz2'));
  if (tarball === undefined) throw new Error(`no source package in ${sources}: npm run setup`);
  await command(
    [
      'tar',
      '-xjf',
      join(sources, tarball),
      '-C',
      packages,
      '--strip-components=6',
      '--wildcards',
      PYTHON_MEMBERS,
    ],
    { timeoutMs: 60_000 },
  );
  try {
    await command(['env', `PYTHONPATH=${packages}`, 'python3', '-c', 'import vici']);
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
  return {
    name: 'Python vici',
    argv: (path) => ['env', `PYTHONPATH=${packages}`, 'python3', '-c', PYTHON, path, String(sas)],
  };
}

/** Runs it to its end, its output thrown away. In seconds; CPU is user and system. */
export async function timeClient(
  client: ListClient,
  socketPath: string,
): Promise<{ readonly wall: number; readonly cpu: number }> {
  const script = 'TIMEFORMAT="%R %U %S"; time "$@" >/dev/null';
  const { stderr } = await command(['bash', '-ec', script, 'bash', ...client.argv(socketPath)], {
    timeoutMs: 60_000,
  });
  const [wall, user, system] = stderr.trim().split('\n').at(-1)?.split(' ').map(Number) ?? [];
  if (wall === undefined || user === undefined || system === undefined) throw new Error(stderr);
  return { wall, cpu: user + system };
}
