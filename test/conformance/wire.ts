import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { command, type ManagedProcess, type Site } from '../support/index.ts';
import { type IpPacket, readIpPackets } from './ip-packet.ts';
import { type IpsecPacket, readIpsecPacket } from './ipsec-packet.ts';

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const ETHERNET_HEADER_BYTES = 14;
const ETHERTYPES: readonly number[] = [0x0800, 0x86dd];

/** Watches a gateway's outer interface through many rows. */
export class Wire implements AsyncDisposable {
  readonly #process: ManagedProcess;
  readonly #path: string;
  #offset = FILE_HEADER_BYTES;
  #frames: Buffer[] = [];

  private constructor(process: ManagedProcess, path: string) {
    this.#process = process;
    this.#path = path;
  }

  static async start({ namespace, dir }: Site): Promise<Wire> {
    const path = join(dir, 'wire.pcap');
    const process = namespace.spawn({
      name: `tcpdump in ${dir}`,
      argv: [
        ...(['tcpdump', '-i', 'eth0', '-n', '-s', '0', '-B', '65536', '-U', '--immediate-mode'] as const),
        ...['-Z', 'root', '-w', path, 'ip or ip6'],
      ],
      logPath: join(dir, 'tcpdump.log'),
    });
    await process.waitFor('it captures', async () => (await process.log()).includes('listening on'));
    return new Wire(process, path);
  }

  /** What was seen so far is forgotten, and its place on the disk given back. */
  async forget(): Promise<void> {
    await this.#read();
    this.#frames = [];
    const [offset, length] = ['0', String(this.#offset)];
    await command(['fallocate', '--punch-hole', '--offset', offset, '--length', length, this.#path]);
  }

  /** ESP and AH packets since then, whole ones, in their order. */
  async ipsecPackets(): Promise<readonly IpsecPacket[]> {
    return (await this.ipPackets()).map(readIpsecPacket).filter((packet) => packet !== undefined);
  }

  /** Everything since then, whole ones, in their order. */
  async ipPackets(): Promise<readonly IpPacket[]> {
    await this.#read();
    return readIpPackets(this.#frames);
  }

  async #read(): Promise<void> {
    await using file = await open(this.#path);
    const { size } = await file.stat();
    const bytes = Buffer.alloc(size - this.#offset);
    await file.read(bytes, 0, bytes.length, this.#offset);
    let at = 0;
    while (at + RECORD_HEADER_BYTES <= bytes.length) {
      const end = at + RECORD_HEADER_BYTES + bytes.readUInt32LE(at + 8);
      if (end > bytes.length) break;
      const frame = bytes.subarray(at + RECORD_HEADER_BYTES, end);
      if (ETHERTYPES.includes(frame.readUInt16BE(12)))
        this.#frames.push(frame.subarray(ETHERNET_HEADER_BYTES));
      at = end;
    }
    this.#offset += at;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}
