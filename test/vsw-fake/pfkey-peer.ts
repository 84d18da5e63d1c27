import {
  type Extension,
  type Extensions,
  ExtensionType,
  HEADER_BYTES,
  type Header,
  readHeader,
  readReply,
  write,
  writeMessage,
} from '../support/fake-lagopus/pfkey-wire.ts';
import { Seqpacket } from '../support/fake-lagopus/seqpacket.ts';
import { eventually } from '../support/index.ts';

export type Message = { readonly header: Header; readonly extensions: Extensions; readonly bytes: Buffer };

/** Who speaks PF_KEY with a vsw, message by message. */
export class PfkeyPeer implements Disposable {
  readonly messages: Message[] = [];
  isClosed = false;
  #socket: Seqpacket | undefined;
  #seq = 0;

  static async connect(path: string): Promise<PfkeyPeer> {
    const peer = new PfkeyPeer();
    peer.#socket = await Seqpacket.connect(path, (event) => {
      if (event.kind === 'end') peer.isClosed = true;
      if (event.kind !== 'packet') return;
      const header = readHeader(event.bytes);
      // What only vsw sends (14 and 15, algorithms) is not read here.
      const isRegister = header.type === 7;
      const extensions = isRegister ? {} : readReply(event.bytes.subarray(HEADER_BYTES));
      peer.messages.push({ header, extensions, bytes: event.bytes });
    });
    return peer;
  }

  send(type: number, extensions: readonly Extension[], version = 2): void {
    this.#seq++;
    const header = { version, type, errno: 0, satype: 3, words: 0, seq: this.#seq, pid: 77 };
    this.#socket?.send(1, writeMessage(header, extensions));
  }

  /** Sends, and waits for one message of the same type. */
  async ask(type: number, extensions: readonly Extension[], version = 2): Promise<Message> {
    this.send(type, extensions, version);
    return await this.next((message) => message.header.type === type);
  }

  async next(isWanted: (message: Message) => boolean = () => true): Promise<Message> {
    const found = await eventually(
      'a message',
      () => {
        if (this.isClosed && this.messages.length === 0) throw new Error('the connection is closed');
        return this.messages.find(isWanted);
      },
      { timeoutMs: 5_000 },
    );
    this.messages.splice(this.messages.indexOf(found), 1);
    return found;
  }

  async closed(): Promise<void> {
    await eventually('the end of the connection', () => this.isClosed, { timeoutMs: 5_000 });
  }

  [Symbol.dispose](): void {
    this.#socket?.[Symbol.dispose]();
  }
}

export const LOCAL = '198.18.0.1';
export const REMOTE = '198.18.0.2';

export function ends(local = LOCAL, remote = REMOTE): readonly Extension[] {
  return [
    write.address(ExtensionType.ADDRESS_SRC, { ip: local, port: 0, prefix: 32, protocol: 0 }),
    write.address(ExtensionType.ADDRESS_DST, { ip: remote, port: 0, prefix: 32, protocol: 0 }),
  ];
}

export function saOf(spi: number, encrypt = 20, auth = 0): Extension {
  return write.sa({ spi, replay: 0, state: 1, auth, encrypt, flags: 0 });
}

export function lifetimes(hard = 0, soft = 0): readonly Extension[] {
  const lifetime = (type: number, seconds: number): Extension =>
    write.lifetime(type, { allocations: 0, bytes: 0n, addTime: BigInt(seconds), useTime: 0n });
  return [lifetime(ExtensionType.LIFETIME_HARD, hard), lifetime(ExtensionType.LIFETIME_SOFT, soft)];
}

export function keyOf(bytes: number, type: number = ExtensionType.KEY_ENCRYPT): Extension {
  return write.key(type, Buffer.alloc(bytes, 0x5a));
}

/** ADD of an AES-128-GCM SA. */
export function addOf(spi: number, hard = 0, soft = 0): readonly Extension[] {
  return [saOf(spi), ...ends(), keyOf(20), ...lifetimes(hard, soft)];
}

export type SampleSpd = {
  readonly type?: number;
  readonly direction: number;
  readonly id?: number;
  readonly mode?: number;
  readonly local?: string;
  readonly remote?: string;
  readonly source?: string;
  readonly destination?: string;
};

/** A policy with an ESP tunnel request. */
export function spdOf(spd: SampleSpd): readonly Extension[] {
  const end = (type: number, ip: string): Extension =>
    write.address(type, { ip, port: 0, prefix: 24, protocol: 255 });
  return [
    write.policy({
      type: spd.type ?? 2,
      direction: spd.direction,
      id: spd.id ?? 0,
      priority: 100,
      request: { protocol: 50, mode: spd.mode ?? 2, level: 2, reqid: 1 },
      tunnel: { source: spd.local ?? LOCAL, destination: spd.remote ?? REMOTE },
    }),
    end(ExtensionType.ADDRESS_SRC, spd.source ?? '198.19.1.0'),
    end(ExtensionType.ADDRESS_DST, spd.destination ?? '198.19.2.0'),
  ];
}
