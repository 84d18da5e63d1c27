import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from './command.ts';
import { NetNamespace, sweepNamespaces } from './net-namespace.ts';
import { sweepTempDirs, TempDir } from './temp-dir.ts';

/** A place for a gateway: a namespace with an outer interface and an inner network of its own. */
export type Site = {
  readonly name: 'left' | 'right';
  readonly namespace: NetNamespace;
  /** Where its daemons put sockets, logs and configuration. */
  readonly dir: string;
  /** The outer address, on `eth0`. */
  readonly outer: string;
  /** The address the other site sees it under: another one behind a NAT. */
  readonly seenAs: string;
  /** The inner host's address, on `lo`, inside `innerNet`. */
  readonly inner: string;
  readonly innerNet: string;
};

/** A site whose gateway is a UML guest: the namespace is the inner host behind it. */
export type GuestSite = Site & {
  /** The guest's inner address. */
  readonly innerGateway: string;
};

/** The router of a routed lab; its interfaces are `left` and `right`. */
export type Router = { readonly namespace: NetNamespace };

/** Removes what labs of processes that are no longer alive left behind. */
export async function sweepLabs(isAlive: (pid: number) => boolean): Promise<void> {
  await sweepNamespaces(isAlive);
  sweepTempDirs(isAlive);
}

let labCounter = 0;

/**
 * Namespaces, wires and a private directory; all of it goes with the lab. Daemons started in it are
 * disposed of first (`lab.use`, newest first).
 */
export class Lab implements AsyncDisposable {
  readonly dir: string;
  readonly #tag: string;
  readonly #resources: AsyncDisposableStack;

  private constructor(resources: AsyncDisposableStack, dir: string) {
    this.#resources = resources;
    this.dir = dir;
    labCounter += 1;
    this.#tag = `lgp-${process.pid}-${labCounter}`;
  }

  /** `dir`: use this directory, which stays, in place of a private one. */
  static async create(options: { readonly dir?: string } = {}): Promise<Lab> {
    await sweepLabs((pid) => existsSync(`/proc/${pid}`));
    const resources = new AsyncDisposableStack();
    return new Lab(resources, options.dir ?? resources.use(new TempDir()).path);
  }

  /** Gives a resource to the lab to dispose of. */
  use<T extends AsyncDisposable>(resource: T): T {
    return this.#resources.use(resource);
  }

  async namespace(label: string): Promise<NetNamespace> {
    return this.use(await NetNamespace.create(`${this.#tag}-${label}`));
  }

  /** Joins two namespaces with a wire whose ends have the given names. */
  async wire(a: NetNamespace, aDevice: string, b: NetNamespace, bDevice: string): Promise<void> {
    await command([
      ...(['ip', 'link', 'add', aDevice, 'netns', a.name, 'type', 'veth'] as const),
      ...(['peer', 'name', bDevice, 'netns', b.name] as const),
    ]);
    await a.ip('link', 'set', aDevice, 'up');
    await b.ip('link', 'set', bDevice, 'up');
  }

  /** left 198.18.0.1 ─ 198.18.0.2 right */
  async pair(): Promise<{ left: Site; right: Site }> {
    const left = await this.#site('left', '198.18.0.1');
    const right = await this.#site('right', '198.18.0.2');
    await this.wire(left.namespace, 'eth0', right.namespace, 'eth0');
    for (const site of [left, right]) await site.namespace.addAddress('eth0', `${site.outer}/24`);
    return { left, right };
  }

  /** left 198.18.1.1 ─ router ─ 198.18.2.1 right; with `nat`, left appears as 198.18.2.254. */
  async routed(
    options: { readonly nat?: boolean } = {},
  ): Promise<{ left: Site; right: Site; router: Router }> {
    const left = await this.#site('left', '198.18.1.1', options.nat === true ? '198.18.2.254' : '198.18.1.1');
    const right = await this.#site('right', '198.18.2.1');
    const router = await this.namespace('router');
    await router.sysctl('net.ipv4.ip_forward', '1');
    for (const [site, gateway] of [
      [left, '198.18.1.254'],
      [right, '198.18.2.254'],
    ] as const) {
      await this.wire(site.namespace, 'eth0', router, site.name);
      await site.namespace.addAddress('eth0', `${site.outer}/24`);
      await router.addAddress(site.name, `${gateway}/24`);
      await site.namespace.ip('route', 'add', 'default', 'via', gateway);
    }
    if (options.nat === true) {
      await router.run(['iptables', '-t', 'nat', '-A', 'POSTROUTING', '-o', 'right', '-j', 'MASQUERADE']);
    }
    return { left, right, router: { namespace: router } };
  }

  /** left 198.18.0.1 ─ 198.18.0.2, on a UML guest ─ right inner host 198.19.2.1 */
  async pairWithGuest(): Promise<{ left: Site; right: GuestSite }> {
    const left = await this.#site('left', '198.18.0.1');
    const right = { ...(await this.#bareSite('right', '198.18.0.2')), innerGateway: '198.19.2.254' };
    const { namespace } = right;
    await this.wire(left.namespace, 'eth0', namespace, 'eth0');
    await left.namespace.addAddress('eth0', `${left.outer}/24`);
    await namespace.ip('link', 'add', 'br0', 'type', 'bridge');
    for (const tap of ['tap0', 'tap1']) {
      await namespace.ip('tuntap', 'add', tap, 'mode', 'tap');
      await namespace.ip('link', 'set', tap, 'up');
    }
    for (const port of ['eth0', 'tap0']) await namespace.ip('link', 'set', port, 'master', 'br0');
    await namespace.ip('link', 'set', 'br0', 'up');
    await namespace.addAddress('tap1', `${right.inner}/24`);
    await namespace.ip('route', 'add', 'default', 'via', right.innerGateway);
    return { left, right };
  }

  async #site(name: Site['name'], outer: string, seenAs = outer): Promise<Site> {
    const site = await this.#bareSite(name, outer, seenAs);
    await site.namespace.addAddress('lo', `${site.inner}/32`);
    return site;
  }

  async #bareSite(name: Site['name'], outer: string, seenAs = outer): Promise<Site> {
    const namespace = await this.namespace(name);
    const network = name === 'left' ? 1 : 2;
    const dir = join(this.dir, name);
    await mkdir(dir, { mode: 0o700 });
    const net = `198.19.${network}`;
    return { name, namespace, dir, outer, seenAs, inner: `${net}.1`, innerNet: `${net}.0/24` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}
