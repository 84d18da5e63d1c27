import { type Change, type Path, startsWith } from './changes.ts';

/** What Go's ParseBool takes for true, and vsw with it. */
const TRUE = /^(1|t|T|TRUE|true|True)$/;

/** `interfaces interface NAME subinterfaces subinterface N tunnel config security ipsec` */
function ipsecTunnelOf([list, entry, name, subs, sub, , kind, config, leaf, value]: Path):
  | string
  | undefined {
  const isTunnel = list === 'interfaces' && entry === 'interface' && subs === 'subinterfaces';
  const isIpsec = kind === 'tunnel' && config === 'config' && leaf === 'security' && value === 'ipsec';
  return isTunnel && sub === 'subinterface' && isIpsec ? name : undefined;
}

/** `interfaces interface NAME config enabled BOOL` */
function enabledOf(path: Path): { readonly name: string; readonly isEnabled: boolean } | undefined {
  const [list, entry, name, config, leaf, value] = path;
  if (path.length !== 6 || list !== 'interfaces' || entry !== 'interface' || name === undefined)
    return undefined;
  if (config !== 'config' || leaf !== 'enabled') return undefined;
  return { name, isEnabled: TRUE.test(value ?? '') };
}

/**
 * Keeps the tunnel interfaces of a vsw that has started closed until it is opened: the `enabled` of an
 * interface that has a subinterface with `security ipsec` is kept back. The subinterface is left as it is, so
 * that the routes into it stay: what takes them does not go another way in clear, but waits in a ring for the
 * policies that come, or is dropped when it is full.
 */
export class TunnelGate {
  /** Interfaces with an IPsec tunnel. */
  readonly #tunnels = new Set<string>();
  readonly #held = new Map<string, Change>();
  #isOpen = false;

  /** Interfaces that are kept closed, by name. */
  get held(): readonly string[] {
    return [...this.#held.keys()];
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** For a vsw that knows nothing yet. */
  close(): void {
    this.#tunnels.clear();
    this.#held.clear();
    this.#isOpen = false;
  }

  /** What of a commit vsw is told now. */
  pass(changes: readonly Change[]): readonly Change[] {
    if (this.#isOpen) return changes;
    for (const change of changes) this.#note(change);
    return changes.filter((change) => {
      const enabled = enabledOf(change.path);
      if (enabled === undefined || !this.#tunnels.has(enabled.name)) return true;
      const isHeld = change.kind === 'set' && enabled.isEnabled;
      if (isHeld) this.#held.set(enabled.name, change);
      else this.#held.delete(enabled.name);
      return !isHeld;
    });
  }

  /** From now on everything passes; what was kept back. */
  open(): readonly Change[] {
    const held = [...this.#held.values()];
    this.#held.clear();
    this.#isOpen = true;
    return held;
  }

  #note({ kind, path }: Change): void {
    const name = ipsecTunnelOf(path);
    if (kind === 'set' && name !== undefined) this.#tunnels.add(name);
    if (kind === 'set' || path.length > 3) return;
    for (const tunnel of this.#tunnels) {
      if (!startsWith(['interfaces', 'interface', tunnel], path)) continue;
      this.#tunnels.delete(tunnel);
      this.#held.delete(tunnel);
    }
  }
}
