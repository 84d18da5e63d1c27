/**
 * The part of openconfigd's YANG model that the fake knows: every leaf with the form of its value. `*`
 * is a list's key. Values are only checked for form, as YANG does.
 */
type Leaf = { readonly path: readonly string[]; readonly value?: RegExp; readonly isMandatory?: boolean };

const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const UINT = /^\d+$/;
const NAME = /^[^\s]+$/;
const BOOL = /^(true|false)$/;

const SAD = 'network-instances network-instance * security ipsec sad sad-entries * config';
const SPD = 'network-instances network-instance * security ipsec spd spd-entries * config';
const NI = 'network-instances network-instance *';
const IF = 'interfaces interface *';
const SUB = `${IF} subinterfaces subinterface *`;

function leaf(path: string, value?: RegExp, isMandatory = false): Leaf {
  return { path: path.split(' '), ...(value === undefined ? {} : { value }), isMandatory };
}

const LEAVES: readonly Leaf[] = [
  leaf(`${SAD} sa-mode`, /^tunnel$/, true),
  leaf(`${SAD} life-time life-time-in-seconds`, UINT),
  leaf(`${SAD} life-time life-time-in-byte`, UINT),
  leaf(`${SAD} local-peer ipv4-address`, IPV4),
  leaf(`${SAD} remote-peer ipv4-address`, IPV4),
  leaf(`${SAD} esp encryption aes-128-cbc key-str`, /^[0-9a-fA-F]{32}$/),
  leaf(`${SAD} esp encryption aes-128-gcm key-str`, /^[0-9a-fA-F]{40}$/),
  leaf(`${SAD} esp encryption null`),
  leaf(`${SAD} esp authentication hmac-sha1-96 key-str`, /^[0-9a-fA-F]{24,40}$/),
  leaf(`${SAD} esp authentication null`),
  leaf(`${SAD} encap-protocol`, /^(udp|none)$/),
  leaf(`${SAD} encap-src-port`, UINT),
  leaf(`${SAD} encap-dst-port`, UINT),
  leaf(`${SPD} spi`, UINT),
  leaf(`${SPD} direction`, /^(inbound|outbound)$/),
  leaf(`${SPD} priority`, /^-?\d+$/),
  leaf(`${SPD} policy`, /^(protect|discard)$/),
  leaf(`${SPD} security-protocol`, /^esp$/),
  leaf(`${SPD} upper-protocol`, /^(any|tcp|udp|sctp|icmp)$/),
  ...['source-address', 'destination-address'].flatMap((end) => [
    leaf(`${SPD} ${end} ipv4-address`, IPV4),
    leaf(`${SPD} ${end} prefix-length`, UINT),
    leaf(`${SPD} ${end} port-number`, UINT),
  ]),
  leaf(`${NI} config name`, NAME),
  leaf(`${NI} config type`, /^(L3VRF|L2VSI|LagopusMAT)$/),
  leaf(`${NI} config enabled`, BOOL),
  leaf(`${NI} interfaces interface * subinterface`, UINT),
  leaf(`${IF} config name`, NAME),
  leaf(`${IF} config type`, NAME),
  leaf(`${IF} config driver`, NAME),
  leaf(`${IF} config device`, NAME),
  leaf(`${IF} config enabled`, BOOL),
  leaf(`${IF} config mtu`, UINT),
  leaf(`${SUB} config enabled`, BOOL),
  leaf(`${SUB} ipv4 addresses address * config prefix-length`, UINT),
  leaf(`${SUB} tunnel config encaps-method`, NAME),
  leaf(`${SUB} tunnel config local-inet-address`, IPV4),
  leaf(`${SUB} tunnel config remote-inet-address`, IPV4),
  leaf(`${SUB} tunnel config network-instance`, NAME),
  leaf(`${SUB} tunnel config security`, NAME),
];

/** Sibling containers of which only one may be set (YANG's choice). */
const CHOICES: readonly string[] = [`${SAD} esp encryption`, `${SAD} esp authentication`, `${SAD} life-time`];

export type Match =
  | { readonly kind: 'leaf'; readonly path: readonly string[]; readonly value: string | undefined }
  | { readonly kind: 'NoMatch' | 'Incomplete' | 'Ambiguous' };

/** Finds the leaf that a line of words names; words may be shortened as on a command line. */
export function matchLeaf(words: readonly string[]): Match {
  let candidates = LEAVES;
  const path: string[] = [];
  for (const [at, word] of words.entries()) {
    const ending = candidates.find(({ path: { length } }) => length === at);
    if (ending !== undefined) {
      if (at !== words.length - 1 || ending.value?.test(word) !== true) return { kind: 'NoMatch' };
      return { kind: 'leaf', path, value: word };
    }
    const names = new Set(candidates.map((candidate) => candidate.path[at] ?? ''));
    const name = names.has('*') ? '*' : chosenName(names, word);
    if (name === undefined) return { kind: 'NoMatch' };
    if (name === 'ambiguous') return { kind: 'Ambiguous' };
    candidates = candidates.filter((candidate) => candidate.path[at] === name);
    path.push(name === '*' ? word : name);
  }
  const whole = candidates.find((candidate) => candidate.path.length === words.length);
  return whole !== undefined && whole.value === undefined
    ? { kind: 'leaf', path, value: undefined }
    : { kind: 'Incomplete' };
}

function chosenName(names: ReadonlySet<string>, word: string): string | undefined {
  if (names.has(word)) return word;
  const starting = [...names].filter((name) => name.startsWith(word));
  return starting.length > 1 ? 'ambiguous' : starting[0];
}

function covers(pattern: readonly string[], path: readonly string[]): boolean {
  return pattern.every((name, at) => name === '*' || name === path[at]);
}

/** The lists that `path` goes through: the path up to each key. */
export function entriesOf(path: readonly string[]): readonly (readonly string[])[] {
  const known = LEAVES.find(
    (candidate) => candidate.path.length === path.length && covers(candidate.path, path),
  );
  return (known?.path ?? []).flatMap((name, at) => (name === '*' ? [path.slice(0, at + 1)] : []));
}

/** The path of the choice that a leaf belongs to, and its case. */
export function choiceOf(path: readonly string[]): { choice: readonly string[]; name: string } | undefined {
  for (const text of CHOICES) {
    const pattern = text.split(' ');
    const name = path[pattern.length];
    if (name !== undefined && covers(pattern, path)) return { choice: path.slice(0, pattern.length), name };
  }
  return undefined;
}

/** The first mandatory leaf that an entry with other leaves lacks. */
export function missingMandatory(paths: readonly (readonly string[])[]): string | undefined {
  const have = new Set(paths.map((path) => path.join(' ')));
  for (const mandatory of LEAVES.filter(({ isMandatory }) => isMandatory === true)) {
    const parent = mandatory.path.slice(0, -1);
    const name = mandatory.path.at(-1) ?? '';
    for (const path of paths) {
      if (path.length <= parent.length || !covers(parent, path)) continue;
      if (!have.has([...path.slice(0, parent.length), name].join(' '))) {
        return `Mandatory node '${name}' is necessary under ${parent.at(-1)}.`;
      }
    }
  }
  return undefined;
}
