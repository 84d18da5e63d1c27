/** How far from its place a name may be: names that collide more are decoded every time. */
const PROBES = 4;

/** What charon calls things in its listings, so that a message needs few strings of its own. */
const KNOWN_NAMES = [
  ...['uniqueid', 'version', 'state', 'initiator', 'initiator-spi', 'responder-spi', 'established', 'up'],
  ...['local-host', 'local-port', 'local-id', 'local-vips', 'local-ts', 'local_addrs', 'nat-local'],
  ...['remote-host', 'remote-port', 'remote-id', 'remote-vips', 'remote-ts', 'remote_addrs', 'nat-remote'],
  ...['remote-eap-id', 'remote-xauth-id', 'nat-fake', 'nat-any', 'ppk', 'if-id-in', 'if-id-out', 'label'],
  ...['encr-alg', 'encr-keysize', 'integ-alg', 'integ-keysize', 'prf-alg', 'dh-group', 'esn', 'encap'],
  ...['rekey-time', 'reauth-time', 'life-time', 'install-time', 'child-sas', 'name', 'reqid', 'mode'],
  ...['protocol', 'spi-in', 'spi-out', 'cpi-in', 'cpi-out', 'mark-in', 'mark-mask-in', 'mark-out'],
  ...['mark-mask-out', 'bytes-in', 'packets-in', 'use-in', 'bytes-out', 'packets-out', 'use-out'],
  ...['tasks-queued', 'tasks-active', 'tasks-passive', 'per-cpu-sas', 'cpu', 'old', 'new', 'success'],
  ...['list-sa', 'list-policy', 'list-conn', 'list-cert', 'list-authority', 'log', 'control-log', 'alert'],
  ...['ike-updown', 'ike-rekey', 'ike-update', 'child-updown', 'child-rekey'],
  ...['errmsg', 'group', 'level', 'thread', 'ikesa-name', 'ikesa-uniqueid', 'msg', 'type', 'ike-sa'],
] as const;

/**
 * Strings by their ASCII bytes, so that a name that comes a hundred thousand times is
 * decoded once. It holds a bounded number and never forgets: what does not fit, and
 * what is not ASCII, is decoded every time.
 */
export class NameTable {
  readonly #slots: (string | undefined)[];
  readonly #mask: number;
  readonly #isGrowing: boolean;

  /** Holds `names` and, when it is growing, what comes; `slots` is a power of two. */
  constructor(names: readonly string[] = [], { slots = 1024, isGrowing = true } = {}) {
    this.#slots = new Array<string | undefined>(slots).fill(undefined);
    this.#mask = slots - 1;
    this.#isGrowing = isGrowing;
    for (const name of names) this.#add(name);
  }

  /** The string of these bytes, which are latin1, or UTF-8. */
  get(bytes: Buffer, start: number, end: number, encoding: 'latin1' | 'utf8' = 'latin1'): string {
    const length = end - start;
    if (length === 0) return '';
    const at = hash(length, bytes[start] ?? 0, bytes[end - 1] ?? 0, bytes[start + (length >> 1)] ?? 0);
    for (let probe = 0; probe < PROBES; probe += 1) {
      const known = this.#slots[(at + probe) & this.#mask];
      if (known === undefined) break;
      if (isSame(known, bytes, start, length)) return known;
    }
    const name = bytes.toString(encoding, start, end);
    if (this.#isGrowing && isAscii(name)) this.#add(name);
    return name;
  }

  #add(name: string): void {
    const { length } = name;
    const at = hash(length, name.charCodeAt(0), name.charCodeAt(length - 1), name.charCodeAt(length >> 1));
    for (let probe = 0; probe < PROBES; probe += 1) {
      const slot = (at + probe) & this.#mask;
      if (this.#slots[slot] !== undefined) continue;
      this.#slots[slot] = name;
      return;
    }
  }
}

/** Of what every message has; it never changes. */
export const knownNames: Pick<NameTable, 'get'> = new NameTable(KNOWN_NAMES, { isGrowing: false });

function hash(length: number, first: number, last: number, middle: number): number {
  return length * 61 + first * 7 + last * 31 + middle * 113;
}

function isSame(name: string, bytes: Buffer, start: number, length: number): boolean {
  if (name.length !== length) return false;
  for (let index = 0; index < length; index += 1) {
    if (name.charCodeAt(index) !== bytes[start + index]) return false;
  }
  return true;
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (text.charCodeAt(index) > 0x7f) return false;
  }
  return true;
}
