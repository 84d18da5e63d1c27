import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { ManagedProcess, Site } from '../../support/index.ts';

/** What went over the outer wire. */
export type WireReport = {
  readonly espPackets: number;
  /** SPIs with their addresses. */
  readonly streams: number;
  /** ESP packets whose sequence number is not above all of the same SPI before: a key used twice. */
  readonly repeated: readonly string[];
  /** Packets from or to inner addresses that are not encrypted. */
  readonly clear: readonly string[];
};

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const ETHERNET_BYTES = 14;
const ESP = 50;
const UDP = 17;
const NAT_T_PORT = 4500;

/** tcpdump on a gateway's outer interface, read when it has ended. */
export class WireCapture implements AsyncDisposable {
  readonly #process: ManagedProcess;
  readonly #path: string;

  private constructor(process: ManagedProcess, path: string) {
    this.#process = process;
    this.#path = path;
  }

  static async start({ namespace, dir }: Site): Promise<WireCapture> {
    const path = join(dir, 'wire.pcap');
    const process = namespace.spawn({
      name: `tcpdump in ${dir}`,
      argv: ['tcpdump', '-i', 'eth0', '-n', '-s', '64', '-B', '32768', '-U', '-Z', 'root', '-w', path, 'ip'],
      logPath: join(dir, 'tcpdump.log'),
    });
    await process.waitFor('it captures', async () => (await process.log()).includes('listening on'));
    return new WireCapture(process, path);
  }

  /** Ends it. */
  async finish(): Promise<WireReport> {
    await this.#process.stop();
    await using file = await open(this.#path);
    return readCapture(await file.readFile());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}

/** Reads a capture of Ethernet frames with IPv4 in them. */
export function readCapture(bytes: Buffer): WireReport {
  const highest = new Map<string, number>();
  const repeated: string[] = [];
  const clear: string[] = [];
  let espPackets = 0;
  for (let at = FILE_HEADER_BYTES; at + RECORD_HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    const start = at + RECORD_HEADER_BYTES + ETHERNET_BYTES;
    at += RECORD_HEADER_BYTES + length;
    const packet = bytes.subarray(start, at);
    const [source, destination] = [address(packet, 12), address(packet, 16)];
    if (isInner(source) || isInner(destination)) {
      clear.push(`${source} > ${destination}, protocol ${packet.readUInt8(9)}`);
      continue;
    }
    const esp = espOf(packet);
    if (esp === undefined) continue;
    espPackets += 1;
    const stream = `${source} > ${destination} ${esp.readUInt32BE(0).toString(16)}`;
    const sequence = esp.readUInt32BE(4);
    const before = highest.get(stream) ?? 0;
    if (sequence <= before) repeated.push(`${stream}: ${sequence} after ${before}`);
    else highest.set(stream, sequence);
  }
  return { espPackets, streams: highest.size, repeated, clear };
}

function address(packet: Buffer, offset: number): string {
  return packet.subarray(offset, offset + 4).join('.');
}

function isInner(text: string): boolean {
  return text.startsWith('198.19.');
}

/** The ESP header, of a packet that has one. */
function espOf(packet: Buffer): Buffer | undefined {
  const payload = packet.subarray((packet.readUInt8(0) & 0x0f) * 4);
  switch (packet.readUInt8(9)) {
    case ESP:
      return payload;
    case UDP: {
      const isNatT = payload.readUInt16BE(0) === NAT_T_PORT || payload.readUInt16BE(2) === NAT_T_PORT;
      const esp = payload.subarray(8);
      // Neither a keepalive nor IKE, which has four zeros where ESP has its SPI.
      return isNatT && esp.length >= 8 && esp.readUInt32BE(0) !== 0 ? esp : undefined;
    }
    default:
      return undefined;
  }
}
