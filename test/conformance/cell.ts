import type { ChildSa, InstalledChildSa } from '../../src/vici/index.ts';
import { CommandError, eventually, sadOf } from '../support/index.ts';
import { endpoint } from './addresses.ts';
import type { Bench } from './bench.ts';
import { lacking } from './capabilities.ts';
import { connectionName } from './connections.ts';
import { askEcho } from './echo.ts';
import { whyImpossible } from './impossible.ts';
import { CellFailure, type Outcome } from './outcome.ts';
import { type Row, rowName } from './row.ts';
import { sizesFor, smallSizesFor } from './sizes.ts';
import { wireFaults } from './wire-check.ts';

const INITIATE_TIMEOUT_MS = 8_000;

/** Runs one row with the bench's peer, from nothing to nothing. */
export async function runCell(bench: Bench, row: Row): Promise<Outcome> {
  const reason = whyImpossible(row, bench.far.peer);
  if (reason !== undefined) return { kind: 'impossible', reason };
  const lacks = lacking(row, bench.capabilities);
  try {
    const outcome = await attempt(bench, row, lacks.length > 0);
    if (outcome.kind !== 'passed' || lacks.length === 0) return outcome;
    return { kind: 'failed', reason: `works, though GetCapabilities does not tell ${lacks.join(', ')}` };
  } catch (error) {
    if (error instanceof CellFailure) return { kind: 'failed', reason: error.message };
    if (error instanceof CommandError)
      return { kind: 'failed', reason: error.stderr.trim() || error.message };
    throw error;
  } finally {
    await takeDown(bench, row);
  }
}

async function attempt(bench: Bench, row: Row, isRefusalExpected: boolean): Promise<Outcome> {
  const { gateway, far } = bench;
  const logs = [new LogTail(() => gateway.charon.log()), new LogTail(() => far.charonLog())] as const;
  await Promise.all(logs.map((log) => log.start()));
  await bench.wire.forget();
  const initiated = await bench.vici.initiate(
    { ike: connectionName(row), child: rowName(row) },
    { timeoutMs: INITIATE_TIMEOUT_MS },
  );
  if (initiated.kind === 'failed') {
    const [own, others] = await Promise.all(logs.map((log) => log.read()));
    const refusal = refusalIn(own) ?? refusalIn(others);
    if (isRefusalExpected && refusal !== undefined) return { kind: 'refused', reason: refusal };
    return {
      kind: 'failed',
      reason: refusal ?? `not negotiated: ${complaintIn(others) ?? complaintIn(own)}`,
    };
  }
  return await carry(bench, row, await installedSa(bench, row));
}

/** What kernel-lagopus says when a dataplane refuses an SA. */
function refusalIn(log = ''): string | undefined {
  return /installing \w+ SA .* failed: (.*)/.exec(log)?.[1];
}

/** What else went wrong while an SA was negotiated. */
function complaintIn(log = ''): string | undefined {
  return /\[(?:ESP|KNL|IKE|CFG)\] (.*(?:failed to create|unable|received [A-Z_]+ notify error|no .* found).*)/.exec(
    log,
  )?.[1];
}

/** What a charon logs after `start`. */
class LogTail {
  readonly #whole: () => Promise<string>;
  #length = 0;

  constructor(whole: () => Promise<string>) {
    this.#whole = whole;
  }

  async start(): Promise<void> {
    this.#length = (await this.#whole()).length;
  }

  async read(): Promise<string> {
    return (await this.#whole()).slice(this.#length);
  }
}

async function installedSa({ vici }: Bench, row: Row): Promise<InstalledChildSa> {
  const found: ChildSa[] = [];
  for await (const ike of vici.listSas({ ike: connectionName(row) }))
    found.push(...[...ike.children.values()].filter(({ name }) => name === rowName(row)));
  const [sa, ...others] = found;
  if (sa?.installed === undefined || others.length > 0)
    throw new CellFailure(`${found.length} CHILD_SAs are listed, not one that is installed`);
  const faults = negotiationFaults(row, sa.mode, sa.installed);
  if (faults.length > 0) throw new CellFailure(faults.join('; '));
  return sa.installed;
}

/** What charon lists is what the row says. */
function negotiationFaults(row: Row, mode: string | undefined, sa: InstalledChildSa): readonly string[] {
  const { protocol, encryption, integrity } = row.algorithm;
  const isFixedLength =
    encryption?.keyBits === 0 || ['3DES_CBC', 'CHACHA20_POLY1305'].includes(encryption?.charonName ?? '');
  const claims: readonly (readonly [string, unknown, unknown])[] = [
    ['mode', mode?.toLowerCase(), row.mode],
    ['protocol', sa.protocol.toLowerCase(), protocol],
    ['UDP encapsulation', sa.encap, row.encapsulation === 'udp'],
    ['ESN', sa.esn, row.esn],
    ['encryption', sa.encryption?.name, encryption?.charonName],
    ['key length', sa.encryption?.keyBits, isFixedLength ? undefined : encryption?.keyBits],
    ['integrity', sa.integrity?.name, integrity?.charonName],
  ];
  return claims
    .filter(([, actual, wanted]) => actual !== wanted)
    .map(([what, actual, wanted]) => `negotiated ${what} is ${String(actual)}, not ${String(wanted)}`);
}

/** Traffic both ways, then what everybody counted and what was on the wire. */
async function carry(bench: Bench, row: Row, sa: InstalledChildSa): Promise<Outcome> {
  const { gateway, far, wire } = bench;
  const [left, right] = [endpoint('left', row), endpoint('right', row)];
  const sizes = sizesFor(row, far.peer);
  const repeats =
    (await askEcho(gateway.site.namespace, left, right, sizes)) +
    (await askEcho(far.hostOf(row), right, left, sizes));
  const [outSpi, inSpi] = [sa.outbound.spi, sa.inbound.spi];
  let faults: readonly string[] = [];
  let counted = { out: 0n, in: 0n };
  const agree = async (): Promise<boolean> => {
    const packets = await wire.ipsecPackets();
    const onWire = (spi: number): bigint => BigInt(packets.filter((packet) => packet.spi === spi).length);
    const ours = await ownCounters(bench, outSpi, inSpi);
    const [farIn, farOut] = await Promise.all([
      far.sa(row, 'inbound', outSpi),
      far.sa(row, 'outbound', inSpi),
    ]);
    counted = ours;
    const sent = (spi: number) => ({ spi, smallSizes: smallSizesFor(row, far.peer) });
    faults = [
      ...ours.faults,
      ...differing('sent', ours.out, onWire(outSpi), farIn.packets),
      ...differing('received', ours.in, onWire(inSpi), farOut.packets),
      ...[...farIn.faults, ...farOut.faults],
      ...wireFaults(row, packets, sent(outSpi)).map((fault) => `ours: ${fault}`),
      ...wireFaults(row, packets, sent(inSpi)).map((fault) => `the peer's: ${fault}`),
    ];
    return faults.length === 0;
  };
  await eventually('everybody counts the same', agree, { timeoutMs: 1_500, intervalMs: 50 }).catch(() => {
    throw new CellFailure(faults.join('; '));
  });
  return { kind: 'passed', packetsOut: Number(counted.out), packetsIn: Number(counted.in), repeats };
}

function differing(what: string, ours: bigint, onWire: bigint, peers: bigint): readonly string[] {
  if (ours > 0n && ours === onWire && ours === peers) return [];
  return [`packets ${what}: ${ours} by us, ${onWire} on the wire, ${peers} by the peer`];
}

/** As ListSas of our dataplane has them. */
async function ownCounters(
  { gateway }: Bench,
  outSpi: number,
  inSpi: number,
): Promise<{ readonly out: bigint; readonly in: bigint; readonly faults: readonly string[] }> {
  const { sas } = await sadOf(gateway);
  const find = (direction: string, spi: number) =>
    sas.find((sa) => sa.direction === direction && Number.parseInt(sa.spi, 16) === spi);
  const [outbound, inbound] = [find('outbound', outSpi), find('inbound', inSpi)];
  const faults = sas.length === 2 ? [] : [`our dataplane has ${sas.length} SAs, not 2`];
  const drops = Number(inbound?.drops ?? 0);
  if (drops > 0) faults.push(`our dataplane dropped ${drops} packets of the inbound SA`);
  return { out: BigInt(outbound?.packets ?? 0), in: BigInt(inbound?.packets ?? 0), faults };
}

/** Ends the CHILD_SA; when even that does not work, everything, so that the next row starts afresh. */
async function takeDown({ vici }: Bench, row: Row): Promise<void> {
  const ended = await vici.terminate({ child: rowName(row) }, { timeoutMs: 5_000 });
  if (ended.kind === 'done' || ended.matches === 0) return;
  await vici.terminate({ ike: connectionName(row), force: true }, { timeoutMs: 5_000 });
}
