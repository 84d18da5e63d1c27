import {
  isSameSaEntry,
  newSaEntry,
  newSpEntry,
  type SaEntry,
  type SpEntry,
  saValuesOf,
  setSaLeaf,
  setSpLeaf,
  spValuesOf,
} from './router-entries.ts';
import { type HeldSp, type SpDirection, selectorKey } from './sp-manager.ts';
import type { Vrf } from './vrf.ts';

export type ConfigChange = { readonly isSet: boolean; readonly path: readonly string[] };

export type RouterPorts = {
  /** Creates the VRF when it is new. */
  readonly vrf: (name: string) => Vrf;
  readonly findVrf: (name: string) => Vrf | undefined;
  readonly deleteVrf: (name: string) => void;
  /** A tunnel interface came: the VRF's PF_KEY socket opens. */
  readonly startIpsec: (vrf: Vrf) => void;
  readonly nowMs: () => number;
  /** What segfaults vsw. */
  readonly crash: (reason: string) => void;
  /** What vsw only writes to its log. */
  readonly log: (line: string) => void;
};

type Instance = {
  readonly name: string;
  isVrf: boolean;
  readonly interfaces: Set<string>;
  /** Once a tunnel interface is attached: before, SAs and SPs are only noted. */
  isIpsec: boolean;
  readonly wantedSas: Map<number, SaEntry>;
  readonly wantedSps: Map<string, SpEntry>;
  /** What was handed on last, by which a repetition is recognised. */
  readonly knownSas: Map<number, SaEntry>;
  readonly knownSps: Map<string, SpEntry>;
};

type InstalledSp = {
  readonly vrf: Vrf;
  readonly direction: SpDirection;
  readonly selector: HeldSp['selector'];
};

/**
 * vsw's configuration agent (agents/config/config.go). A commit is parsed line by line, then applied in
 * an order of its own: deletes of SAs, of SPs, of interfaces; then VRF by VRF SAs, then SPs. What a
 * commit does not mention stays. Nothing is answered.
 */
export class RouterConfig {
  readonly #ports: RouterPorts;
  readonly #instances = new Map<string, Instance>();
  /** By name alone, over all VRFs (agents/tunnel/ipsec/openconfigd/spd/spd.go). */
  readonly #installedSps = new Map<string, InstalledSp>();
  /** Subinterfaces with a tunnel, as `NAME INDEX`. */
  readonly #tunnels = new Set<string>();
  /** Interfaces (`NAME`) and subinterfaces (`NAME INDEX`) that are enabled; without a word they are not. */
  readonly #enabled = new Set<string>();

  /** The VRFs that tunnels name as theirs, by subinterface. */
  readonly #homes = new Map<string, string>();
  #isTicking = false;

  constructor(ports: RouterPorts) {
    this.#ports = ports;
  }

  /** The first tunnel that opens starts the tick, for good (tunnel/ipsec/ipsec.go). */
  get isTicking(): boolean {
    return this.#isTicking;
  }

  commit(changes: readonly ConfigChange[]): void {
    const deletedSas: (readonly [Instance, number])[] = [];
    const deletedSps: (readonly [Instance, string])[] = [];
    const deletedVrfs: string[] = [];
    for (const { isSet, path } of changes) {
      if (path[0] === 'interfaces') this.#parseInterface(isSet, path);
      if (path[0] !== 'network-instances' || path[1] !== 'network-instance' || path[2] === undefined)
        continue;
      const rest = path.slice(3);
      if (isSet) {
        this.#parseSet(path[2], rest);
        continue;
      }
      const instance = this.#instances.get(path[2]);
      if (instance === undefined) continue;
      const [, , database, , key] = rest;
      if (rest.length === 0) {
        deletedVrfs.push(instance.name);
        this.#instances.delete(instance.name);
      } else if (rest.length === 5 && database === 'sad' && key !== undefined) {
        deletedSas.push([instance, Number(key)]);
        instance.wantedSas.delete(Number(key));
      } else if (rest[0] === 'security' && rest.length < 5) {
        // Everything below, whoever set it.
        if (database !== 'spd')
          deletedSas.push(...[...instance.wantedSas.keys()].map((spi) => [instance, spi] as const));
        if (database !== 'sad')
          deletedSps.push(...[...instance.wantedSps.keys()].map((name) => [instance, name] as const));
        if (database !== 'spd') instance.wantedSas.clear();
        if (database !== 'sad') instance.wantedSps.clear();
      } else if (rest.length === 5 && database === 'spd' && key !== undefined) {
        deletedSps.push([instance, key]);
        instance.wantedSps.delete(key);
      } else if (
        rest[0] === 'interfaces' &&
        rest.length === 5 &&
        this.#tunnels.has(`${rest[2]} ${rest[4]}`)
      ) {
        this.#ports.crash(`tunnel interface ${rest[2]} detached from ${instance.name}`);
        return;
      }
    }
    for (const name of deletedVrfs) {
      if (this.#ports.findVrf(name)?.hasSas === true) {
        this.#ports.crash(`VRF ${name} deleted while it holds SAs`);
        return;
      }
      this.#ports.deleteVrf(name);
    }
    for (const [instance, spi] of deletedSas) this.#deleteSa(instance, spi);
    for (const [instance, name] of deletedSps) this.#deleteSp(instance, name);
    // Interfaces come first. One whose tunnel's VRF is made by this commit stays disabled until the next one,
    // whatever that brings: all interfaces are gone through again then (agents/config/config.go).
    const isHome = (name: string): boolean => {
      const home = this.#homes.get(name);
      return home === undefined || this.#ports.findVrf(home) !== undefined;
    };
    const settled = new Set([...this.#tunnels].filter(isHome));
    // Every instance that was ever set is gone through again; what is equal is passed over.
    for (const instance of this.#instances.values()) {
      if (!instance.isVrf) continue;
      const vrf = this.#ports.vrf(instance.name);
      if (!instance.isIpsec && [...instance.interfaces].some((name) => this.#tunnels.has(name))) {
        instance.isIpsec = true;
        this.#ports.startIpsec(vrf);
      }
      // Packets go through a tunnel whose interface and subinterface both are enabled (tunnel/ipsec/ipsec.go).
      vrf.forwarding.isOpen = [...instance.interfaces].some(
        (name) => settled.has(name) && this.#enabled.has(name) && this.#enabled.has(interfaceOf(name)),
      );
      this.#isTicking ||= vrf.forwarding.isOpen;
      if (!instance.isIpsec) continue;
      for (const entry of instance.wantedSas.values()) this.#applySa(vrf, instance, entry);
      for (const entry of instance.wantedSps.values()) this.#applySp(vrf, instance, entry);
    }
  }

  #parseInterface(isSet: boolean, path: readonly string[]): void {
    const [, , name, ...rest] = path;
    if (name === undefined) return;
    const isSub = rest[0] === 'subinterfaces';
    const which = isSub ? `${name} ${rest[2]}` : name;
    const [kind, leaf, value] = isSub ? rest.slice(3) : rest;
    if (!isSet) {
      // Of a leaf that is deleted vsw knows nothing (agents/config/delete_cmd.go): only of the whole.
      if (kind !== undefined) return;
      for (const known of this.#enabled) {
        if (known === which || (!isSub && interfaceOf(known) === name)) this.#enabled.delete(known);
      }
      return;
    }
    if (isSub && kind === 'tunnel') {
      this.#tunnels.add(which);
      if (rest[4] === 'config' && rest[5] === 'network-instance' && rest[6] !== undefined)
        this.#homes.set(which, rest[6]);
    }
    if (kind !== 'config' || leaf !== 'enabled') return;
    if (value === 'true') this.#enabled.add(which);
    else this.#enabled.delete(which);
  }

  #parseSet(name: string, rest: readonly string[]): void {
    const known = this.#instances.get(name);
    const instance = known ?? {
      name,
      isVrf: false,
      interfaces: new Set(),
      isIpsec: false,
      wantedSas: new Map(),
      wantedSps: new Map(),
      knownSas: new Map(),
      knownSps: new Map(),
    };
    this.#instances.set(name, instance);
    if (rest[0] === 'interfaces' && rest.length === 5) instance.interfaces.add(`${rest[2]} ${rest[4]}`);
    if (rest[0] === 'config' && rest[1] === 'type' && rest[2] === 'L3VRF') instance.isVrf = true;
    const [, , database, , key, config] = rest;
    if (rest[0] !== 'security' || rest[1] !== 'ipsec' || key === undefined || config !== 'config') return;
    if (database === 'sad') {
      const spi = Number(key);
      const sa = instance.wantedSas.get(spi) ?? newSaEntry(spi);
      if (setSaLeaf(sa, rest.slice(6))) instance.wantedSas.set(spi, sa);
    } else if (database === 'spd') {
      const sp = instance.wantedSps.get(key) ?? newSpEntry(key);
      if (setSpLeaf(sp, rest.slice(6))) instance.wantedSps.set(key, sp);
    }
  }

  #deleteSa(instance: Instance, spi: number): void {
    if (!instance.knownSas.delete(spi)) return;
    this.#ports.findVrf(instance.name)?.deleteSa(spi);
  }

  #deleteSp(instance: Instance, name: string): void {
    if (!instance.knownSps.delete(name)) return;
    const installed = this.#installedSps.get(name);
    // The database is by name alone: the SP of another VRF's namesake goes.
    if (installed !== undefined) installed.vrf.policies.delete(installed.direction, installed.selector);
    this.#installedSps.delete(name);
  }

  #applySa(vrf: Vrf, instance: Instance, entry: SaEntry): void {
    const known = instance.knownSas.get(entry.spi);
    if (known !== undefined && isSameSaEntry(known, entry)) return;
    instance.knownSas.set(entry.spi, { ...entry });
    const values = saValuesOf(entry, this.#ports.nowMs());
    if (values === undefined) {
      this.#ports.log(`SA ${entry.spi}: not complete`);
      return;
    }
    for (const manager of [vrf.inbound, vrf.outbound]) {
      // An SA that could not be added is known all the same: it is only updated from then on, in vain.
      const isDone = known === undefined ? manager.add(entry.spi, values) : manager.update(entry.spi, values);
      if (!isDone || !manager.enable(entry.spi)) {
        this.#ports.log(`SA ${entry.spi}: ${known === undefined ? 'already exists' : 'does not exist'}`);
        return;
      }
    }
  }

  #applySp(vrf: Vrf, instance: Instance, entry: SpEntry): void {
    const known = instance.knownSps.get(entry.name);
    const copy = { ...entry, selector: { ...entry.selector } };
    if (known !== undefined && JSON.stringify(known) === JSON.stringify(copy)) return;
    instance.knownSps.set(entry.name, copy);
    const values = spValuesOf(entry);
    if (values === undefined) {
      this.#ports.log(`SP ${entry.name}: not complete`);
      return;
    }
    const installed = this.#installedSps.get(entry.name);
    if (known !== undefined && installed === undefined) {
      this.#ports.log(`SP ${entry.name}: not found`);
      return;
    }
    if (known !== undefined && installed !== undefined) {
      const isMoved =
        installed.vrf !== vrf ||
        selectorKey(installed.selector, installed.direction) !== selectorKey(entry.selector, entry.direction);
      if (!isMoved) {
        vrf.policies.update(entry.direction, copy.selector, values);
        return;
      }
      installed.vrf.policies.delete(installed.direction, installed.selector);
      this.#installedSps.delete(entry.name);
    }
    if (vrf.policies.add(entry.direction, copy.selector, values) === undefined) {
      this.#ports.log(`SP ${entry.name}: a policy has this selector`);
      return;
    }
    this.#installedSps.set(entry.name, { vrf, direction: entry.direction, selector: copy.selector });
  }
}

function interfaceOf(name: string): string {
  return name.split(' ')[0] ?? name;
}
