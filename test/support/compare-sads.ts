/**
 * Compares what charon lists with what the dataplane holds, SPI by SPI, and takes nothing from src/: its
 * own reading of `swanctl --list-sas --raw`, its own call of the contract. By hand:
 *
 *     node test/support/compare-sads.ts unix:///run/charon.vici unix:///run/lagopus-ipsec/dataplane.sock
 *
 * Prints one line of JSON; the exit status is 0 when both hold the same SAs, 1 when they differ and 2
 * when one could not be asked. `SWANCTL` names another program than Debian's.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, credentials } from '@grpc/grpc-js';
import { load } from '@grpc/proto-loader';
import { z } from 'zod';

/** `in c452b581 @198.18.0.1`: direction, SPI, destination. */
type SaName = string;

type CharonSas = {
  /** What has to be there: both SAs of every installed CHILD_SA. */
  readonly required: ReadonlySet<SaName>;
  /** What may be there: SAs of CHILD_SAs on their way in or out. */
  readonly passing: ReadonlySet<SaName>;
  readonly children: number;
};

const ATTRIBUTE = /([\w-]+)=(?:\[([^\]]*)\]|([^\s{}]*))|([^\s{}=]+) \{|\}/g;

/** Reads the nested sections of swanctl's raw output; an IKE_SA's own attributes come before its children. */
function parseCharon(raw: string): CharonSas {
  const required = new Set<SaName>();
  const passing = new Set<SaName>();
  let children = 0;
  const sections: Map<string, string>[] = [];
  for (const [text, key, list, value] of raw.matchAll(ATTRIBUTE)) {
    if (key !== undefined) {
      sections.at(-1)?.set(key, list ?? value ?? '');
      continue;
    }
    if (text !== '}') {
      sections.push(new Map());
      continue;
    }
    const child = sections.pop();
    const spiIn = child?.get('spi-in');
    const ike = sections.find((section) => section.has('local-host'));
    if (child === undefined || spiIn === undefined || ike === undefined) continue;
    children += 1;
    const names = child.get('state') === 'INSTALLED' ? required : passing;
    names.add(saName('in', spiIn, ike.get('local-host')));
    names.add(saName('out', child.get('spi-out'), ike.get('remote-host')));
  }
  return { required, passing, children };
}

function saName(direction: 'in' | 'out', spi: string | undefined, destination: string | undefined): SaName {
  return `${direction} ${(spi ?? '').padStart(8, '0')} @${destination}`;
}

const chunkSchema = z.object({
  sas: z.array(
    z.object({
      sa: z.object({
        id: z.object({
          direction: z.enum(['DIRECTION_INBOUND', 'DIRECTION_OUTBOUND']),
          spi: z.int(),
          destination: z.object({ value: z.instanceof(Buffer) }),
        }),
      }),
    }),
  ),
  complete: z.boolean(),
});

const PROTO_DIR = join(import.meta.dirname, '..', '..', 'proto');

async function listDataplane(target: string): Promise<ReadonlySet<SaName>> {
  const definition = await load('lagopus/ipsec/v1/ipsec.proto', {
    includeDirs: [PROTO_DIR],
    enums: String,
    defaults: true,
  });
  const service = definition['lagopus.ipsec.v1.IpsecService'];
  if (service === undefined || !('ListSas' in service) || typeof service.ListSas !== 'object') {
    throw new Error('the contract has no ListSas');
  }
  const { path, requestSerialize, responseDeserialize } = service.ListSas;
  const client = new Client(target, credentials.createInsecure());
  const names = new Set<SaName>();
  let isComplete = false;
  try {
    const deadline = Date.now() + 10_000;
    const stream = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      {},
      { deadline },
    );
    for await (const chunk of stream) {
      const { sas, complete } = chunkSchema.parse(chunk);
      isComplete = complete;
      for (const { sa } of sas) {
        const { direction, spi, destination } = sa.id;
        const address = [...destination.value].join('.');
        names.add(saName(direction === 'DIRECTION_INBOUND' ? 'in' : 'out', spi.toString(16), address));
      }
    }
  } finally {
    client.close();
  }
  if (!isComplete) throw new Error('the listing ended before it was complete');
  return names;
}

async function listCharon(uri: string): Promise<CharonSas> {
  const program = process.env.SWANCTL ?? 'swanctl';
  const { stdout } = await promisify(execFile)(program, ['--list-sas', '--raw', '--uri', uri], {
    maxBuffer: 1 << 28,
    timeout: 20_000,
  });
  return parseCharon(stdout);
}

async function main(uri: string | undefined, target: string | undefined): Promise<number> {
  if (uri === undefined || target === undefined) throw new Error('usage: compare-sads.ts VICI-URI TARGET');
  const [charon, dataplane] = await Promise.all([listCharon(uri), listDataplane(target)]);
  const missing = [...charon.required].filter((name) => !dataplane.has(name));
  const unexpected = [...dataplane].filter((name) => !charon.required.has(name) && !charon.passing.has(name));
  const { children, passing } = charon;
  const report = { children, passing: passing.size / 2, held: dataplane.size, missing, unexpected };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return missing.length + unexpected.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv[2], process.argv[3]);
} catch (error) {
  process.stderr.write(`compare-sads: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
