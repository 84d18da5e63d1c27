import { constants } from 'node:os';
import {
  describeSa,
  describeSp,
  directionOf,
  hostAddress,
  lifetimesOf,
  policyOf,
  saExtension,
  saValuesOf,
  selectorOf,
  supportedAlgorithms,
} from './pfkey-values.ts';
import {
  type Address,
  CloseConnection,
  type Extension,
  type Extensions,
  ExtensionType,
  HEADER_BYTES,
  type Header,
  MessageType,
  type PolicyExtension,
  readExtensions,
  readHeader,
  upcallHeader,
  write,
  writeMessage,
} from './pfkey-wire.ts';
import { stateOf } from './sa.ts';
import { Seqpacket, type SeqpacketEvent } from './seqpacket.ts';
import type { Vrf, VrfUpcall } from './vrf.ts';

const { EEXIST, EINVAL, ENOENT } = constants.errno;
const ESP = 50;
const SPI_RETRIES = 1000;

export type PfkeyPorts = {
  readonly nowMs: () => number;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** What kills the whole of vsw. */
  readonly crash: (reason: string) => void;
  /** After each message that was handled, and answered. */
  readonly onHandled?: ((type: number) => void) | undefined;
};

/** Segmentation fault or panic of vsw while it handles a message. */
class Crash extends Error {}

type Reply = { readonly errno: number } | readonly Extension[] | 'silence';

/** Counts of what was received, by message type, so that tests see what a driver sends. */
export type PfkeyMessage = { readonly type: number; readonly extensions: Extensions };

/** The PF_KEYv2 socket of one VRF (agents/tunnel/ipsec/pfkey/receiver/pfkey_server.go). */
export class PfkeyServer implements Disposable {
  readonly received: PfkeyMessage[] = [];
  readonly #vrf: Vrf;
  readonly #ports: PfkeyPorts;
  readonly #connections = new Set<number>();
  #socket: Seqpacket | undefined;
  /** What comes while vsw is stopped. */
  #held: SeqpacketEvent[] | undefined;

  private constructor(vrf: Vrf, ports: PfkeyPorts) {
    this.#vrf = vrf;
    this.#ports = ports;
  }

  static async listen(path: string, vrf: Vrf, ports: PfkeyPorts): Promise<PfkeyServer> {
    const server = new PfkeyServer(vrf, ports);
    server.#socket = await Seqpacket.listen(path, (event) => server.#onEvent(event));
    return server;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Unsolicited, to every connection; nothing in it names the VRF. */
  broadcast(upcall: VrfUpcall): void {
    const message = upcall.kind === 'expire' ? expireMessage(upcall) : acquireMessage(upcall);
    for (const connection of this.#connections) this.#socket?.send(connection, message);
  }

  [Symbol.dispose](): void {
    this.#socket?.[Symbol.dispose]();
    this.#socket = undefined;
    this.#connections.clear();
  }

  pause(): void {
    this.#held ??= [];
  }

  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) this.#onEvent(event);
  }

  #onEvent(event: SeqpacketEvent): void {
    if (this.#held !== undefined) this.#held.push(event);
    else if (event.kind === 'open') this.#connections.add(event.connection);
    else if (event.kind === 'end') this.#connections.delete(event.connection);
    else {
      this.#handle(event.connection, event.bytes);
      this.#ports.onHandled?.(this.received.at(-1)?.type ?? 0);
    }
  }

  #handle(connection: number, packet: Buffer): void {
    try {
      const header = readHeader(packet);
      const answer = (reply: readonly Extension[], changes: Partial<Header> = {}): void =>
        this.#socket?.send(connection, writeMessage({ ...header, ...changes }, reply));
      if (header.version !== 2 || packet.length !== header.words * 8) {
        answer([], { errno: EINVAL });
        throw new CloseConnection('version or length');
      }
      if (header.type === MessageType.DUMP) {
        this.received.push({ type: header.type, extensions: {} });
        this.#dump(answer);
        return;
      }
      const reply = this.#reply(header, packet.subarray(HEADER_BYTES));
      if (reply === 'silence') return;
      if ('errno' in reply) answer([], { errno: reply.errno });
      else answer(reply);
    } catch (error) {
      if (error instanceof Crash) {
        this.#ports.crash(error.message);
        return;
      }
      if (!(error instanceof CloseConnection)) throw error;
      this.#connections.delete(connection);
      this.#socket?.end(connection);
    }
  }

  #reply(header: Header, body: Buffer): Reply {
    const { type } = header;
    if (type === MessageType.REGISTER) {
      this.received.push({ type, extensions: {} });
      return supportedAlgorithms();
    }
    const handler = this.#handlers[type];
    if (handler === undefined) throw new CloseConnection(`message type ${type}`);
    const extensions = readExtensions(body);
    this.received.push({ type, extensions });
    return handler(extensions);
  }

  readonly #handlers: Readonly<Record<number, (extensions: Extensions) => Reply>> = {
    [MessageType.GETSPI]: (extensions) => this.#getSpi(extensions),
    [MessageType.ADD]: (extensions) => this.#add(extensions),
    [MessageType.UPDATE]: (extensions) => this.#update(extensions),
    [MessageType.DELETE]: (extensions) => this.#delete(extensions),
    [MessageType.GET]: (extensions) => this.#get(extensions),
    [MessageType.X_SPDADD]: (extensions) => this.#spdAdd(extensions),
    [MessageType.X_SPDUPDATE]: (extensions) => this.#spdUpdate(extensions),
    [MessageType.X_SPDGET]: (extensions) => this.#spdGet(extensions),
    [MessageType.X_SPDDELETE]: (extensions) => this.#spdDelete(extensions),
  };

  #getSpi({ source, destination, range }: Extensions): Reply {
    if ((source === undefined && destination === undefined) || range === undefined)
      throw new CloseConnection('option');
    const { min, max } = range;
    for (let tries = min === max ? 1 : SPI_RETRIES; tries > 0; tries--) {
      const spi = min + Math.floor(this.#ports.random() * (max - min + 1));
      if (!this.#vrf.addSa(spi, undefined)) continue;
      return [
        write.sa({ spi, replay: 0, state: 0, auth: 0, encrypt: 0, flags: 0 }),
        ...endsOf(source, destination),
      ];
    }
    return { errno: EEXIST };
  }

  #add(extensions: Extensions): Reply {
    const { sa, source, destination, encryptKey, hard, soft } = extensions;
    if (sa === undefined || source === undefined || destination === undefined || encryptKey === undefined) {
      throw new CloseConnection('ADD');
    }
    const values = saValuesOf(extensions, this.#ports.nowMs());
    if (values === 'invalid') return { errno: EINVAL };
    if ('crash' in values) throw new Crash(values.crash);
    if (!this.#vrf.addSa(sa.spi, values)) return { errno: EEXIST };
    if (hard === undefined || soft === undefined) throw new Crash('ADD without a lifetime extension');
    return [
      write.sa(sa),
      ...endsOf(source, destination),
      write.lifetime(ExtensionType.LIFETIME_HARD, hard),
      write.lifetime(ExtensionType.LIFETIME_SOFT, soft),
      ...natOf(extensions),
    ];
  }

  /** Answers for any SA with the same outer addresses, and changes nothing. */
  #update(extensions: Extensions): Reply {
    const { sa, source, destination, encryptKey } = extensions;
    if (sa === undefined || source === undefined || destination === undefined || encryptKey === undefined) {
      throw new CloseConnection('UPDATE');
    }
    const values = saValuesOf(extensions, this.#ports.nowMs());
    if (values === 'invalid') return { errno: EINVAL };
    if ('crash' in values) throw new Crash(values.crash);
    if (this.#boundSpi(source.ip, destination.ip) === undefined) return { errno: ENOENT };
    return [write.sa(sa), ...endsOf(source, destination), ...natOf(extensions)];
  }

  #delete({ sa, source, destination }: Extensions): Reply {
    if (sa === undefined || (source === undefined && destination === undefined))
      throw new CloseConnection('DELETE');
    this.#vrf.deleteSa(sa.spi);
    return [write.sa(sa), ...endsOf(source, destination)];
  }

  #get({ sa, source, destination }: Extensions): Reply {
    if (sa === undefined || (source === undefined && destination === undefined))
      throw new CloseConnection('GET');
    const held = this.#vrf.inbound.find(sa.spi);
    if (held === undefined) return { errno: ENOENT };
    // One that GETSPI reserved has no algorithms to show.
    if (held.values === undefined) return { errno: EINVAL };
    return describeSa(sa.spi, stateOf(held.stage), held.values);
  }

  /** In no order; of an empty SAD nothing at all; with a SPI that GETSPI reserved the connection closes. */
  #dump(answer: (reply: readonly Extension[], changes?: Partial<Header>) => void): void {
    const all = this.#vrf.inbound
      .list()
      .map((sa) => ({ sa, at: this.#ports.random() }))
      .sort((a, b) => a.at - b.at);
    for (const [at, { sa }] of all.entries()) {
      if (sa.values === undefined) throw new CloseConnection('DUMP of a reserved SPI');
      answer(describeSa(sa.spi, stateOf(sa.stage), sa.values), at === all.length - 1 ? { seq: 0 } : {});
    }
  }

  #spdAdd({ policy, source, destination }: Extensions): Reply {
    if (policy === undefined || (source === undefined && destination === undefined))
      throw new CloseConnection('option');
    const bound =
      policy.tunnel === undefined
        ? undefined
        : this.#boundSpi(policy.tunnel.source, policy.tunnel.destination);
    if (policy.tunnel !== undefined) {
      if (bound === undefined) return { errno: ENOENT };
      const direction = directionOf(policy);
      if (direction === undefined) return 'silence';
      if (direction !== 'forward') this.#vrf[direction].enable(bound);
    }
    const direction = directionOf(policy);
    if (policy.request?.protocol !== ESP || direction === undefined) return { errno: EINVAL };
    const [src, dst] = bothEnds(source, destination);
    const id = this.#vrf.policies.add(direction, selectorOf(src, dst), spValuesOf(policy, bound ?? 0));
    if (id === undefined) return { errno: EEXIST };
    return [write.policy({ ...policy, id }), ...endsOf(src, dst)];
  }

  #spdUpdate({ policy, source, destination }: Extensions): Reply {
    if (policy === undefined || (source === undefined && destination === undefined))
      throw new CloseConnection('option');
    const bound =
      policy.tunnel === undefined
        ? undefined
        : this.#boundSpi(policy.tunnel.source, policy.tunnel.destination);
    if (policy.tunnel !== undefined && bound === undefined) return { errno: EINVAL };
    const direction = directionOf(policy);
    if (bound !== undefined && (direction === 'inbound' || direction === 'outbound'))
      this.#vrf[direction].enable(bound);
    if (policy.request?.protocol !== ESP || direction === undefined) return { errno: EINVAL };
    const [src, dst] = bothEnds(source, destination);
    const id = this.#vrf.policies.update(direction, selectorOf(src, dst), spValuesOf(policy, bound ?? 0));
    if (id === undefined) return { errno: EINVAL };
    return [write.policy({ ...policy, id }), ...endsOf(src, dst)];
  }

  #spdGet({ policy }: Extensions): Reply {
    if (policy === undefined) throw new CloseConnection('option');
    const held = this.#vrf.policies.findById(policy.id);
    return held === undefined ? { errno: ENOENT } : describeSp(held);
  }

  #spdDelete({ policy, source, destination }: Extensions): Reply {
    if (policy === undefined || (source === undefined && destination === undefined))
      throw new CloseConnection('option');
    const [src, dst] = bothEnds(source, destination);
    const direction = directionOf(policy);
    if (direction === undefined || !this.#vrf.policies.delete(direction, selectorOf(src, dst)))
      return { errno: ENOENT };
    return [write.policy(policy), ...endsOf(src, dst)];
  }

  /** The newest SA of an outer pair, whatever the reqid says. */
  #boundSpi(local: string, remote: string): number | undefined {
    const pick = (count: number): number => Math.floor(this.#ports.random() * count);
    return this.#vrf.inbound.findByAddresses(local, remote, pick)?.spi;
  }
}

function spValuesOf(policy: PolicyExtension, spi: number): Parameters<Vrf['policies']['add']>[2] {
  const { request, tunnel, priority } = policy;
  return {
    policy: policyOf(policy),
    priority,
    spi,
    ...(request === undefined || tunnel === undefined
      ? {}
      : {
          request: {
            level: request.level,
            reqid: request.reqid,
            local: tunnel.source,
            remote: tunnel.destination,
          },
        }),
  };
}

/** Both addresses go into the reply unchecked. */
function endsOf(source: Address | undefined, destination: Address | undefined): readonly Extension[] {
  const [src, dst] = bothEnds(source, destination);
  return [write.address(ExtensionType.ADDRESS_SRC, src), write.address(ExtensionType.ADDRESS_DST, dst)];
}

function bothEnds(
  source: Address | undefined,
  destination: Address | undefined,
): readonly [Address, Address] {
  if (source === undefined || destination === undefined) throw new Crash('a message with only one address');
  return [source, destination];
}

function natOf({ natType, natSourcePort, natDestinationPort }: Extensions): readonly Extension[] {
  if (natType === undefined) return [];
  return [
    write.natType(natType),
    write.natPort(ExtensionType.X_NAT_T_SPORT, natSourcePort ?? 0),
    write.natPort(ExtensionType.X_NAT_T_DPORT, natDestinationPort ?? 0),
  ];
}

function expireMessage({ expiry: { spi, values, isSoft, state } }: VrfUpcall & { kind: 'expire' }): Buffer {
  const { current, hard, soft } = lifetimesOf(values);
  return writeMessage(upcallHeader(MessageType.EXPIRE), [
    write.sa(saExtension(spi, state, values)),
    write.address(ExtensionType.ADDRESS_SRC, hostAddress(values.local)),
    write.address(ExtensionType.ADDRESS_DST, hostAddress(values.remote)),
    write.lifetime(ExtensionType.LIFETIME_CURRENT, current),
    isSoft
      ? write.lifetime(ExtensionType.LIFETIME_SOFT, soft)
      : write.lifetime(ExtensionType.LIFETIME_HARD, hard),
  ]);
}

function acquireMessage({ source, destination }: VrfUpcall & { kind: 'acquire' }): Buffer {
  return writeMessage(upcallHeader(MessageType.ACQUIRE), [
    write.address(ExtensionType.ADDRESS_SRC, hostAddress(source)),
    write.address(ExtensionType.ADDRESS_DST, hostAddress(destination)),
    write.policy({ type: 0, direction: 0, id: 0, priority: 0 }),
  ]);
}
