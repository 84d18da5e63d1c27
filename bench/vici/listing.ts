import { inRepository, ManagedProcess, TempDir } from '../../test/support/index.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { interleave } from '../support/interleave.ts';
import { makeRow, type Row } from '../support/row.ts';
import {
  compileClient,
  type ListClient,
  ownClient,
  pythonClient,
  swanctlClient,
  timeClient,
} from './clients.ts';

const CPU_AIMS: ReadonlyMap<number, string> = new Map([[10_000, 'below swanctl']]);
const NOTHING_LOST = 'nothing lost (it fails otherwise)';

/** Whole programs that list all SAs over a unix socket, process start included. */
export async function listingRows(context: BenchContext): Promise<readonly Row[]> {
  const { isQuick, progress } = context;
  const rows: Row[] = [];
  progress('vici: compiling the client');
  const module = await compileClient();
  for (const sas of [1_000, 10_000, 50_000]) {
    await using dir = new TempDir();
    const path = dir.file('vici');
    await using server = new ManagedProcess({
      name: `recorded charon with ${sas} SAs`,
      argv: [process.execPath, inRepository('bench', 'vici', 'replay-server.ts'), path, String(sas)],
      logPath: dir.file('server.log'),
    });
    await server.waitFor('it listens', async () => (await server.log()).includes('listening'), 30_000);
    const swanctl = await swanctlClient(dir.path);
    const python = await pythonClient(dir.path, sas);
    if (python === undefined) progress('vici: no Python client on this machine');
    for (const method of ['listSaSummaries', 'listSas'] as const) {
      const own = ownClient(module, method, sas);
      for (const peer of python === undefined ? [swanctl] : [swanctl, python]) {
        progress(`vici: ${sas} SAs, ${own.name} and ${peer.name}`);
        rows.push(...(await compare(own, peer, { path, sas, rounds: isQuick ? 2 : 7 })));
      }
    }
  }
  return rows;
}

async function compare(
  own: ListClient,
  peer: ListClient,
  { path, sas, rounds }: { readonly path: string; readonly sas: number; readonly rounds: number },
): Promise<readonly Row[]> {
  const { a, b } = await interleave(
    rounds,
    () => timeClient(own, path),
    () => timeClient(peer, path),
  );
  const method = own.name.split(' ').at(-1);
  return (['wall', 'cpu'] as const).map((figure) =>
    makeRow({
      name: `list-sas of ${sas}, ${method}, ${figure}`,
      unit: 's',
      aim: aimOf(figure, peer, sas),
      values: a.map((time) => time[figure]),
      peer: { name: peer.name, values: b.map((time) => time[figure]) },
    }),
  );
}

function aimOf(figure: 'wall' | 'cpu', peer: ListClient, sas: number): string | undefined {
  if (figure === 'wall') return sas === 50_000 ? NOTHING_LOST : undefined;
  return peer.name.startsWith('swanctl') ? CPU_AIMS.get(sas) : undefined;
}
