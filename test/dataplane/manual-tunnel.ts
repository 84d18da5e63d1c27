import { randomBytes } from 'node:crypto';
import { Direction, type Sa } from '../../src/proto/index.ts';
import { DataplaneProcess, type Lab, type Site } from '../support/index.ts';
import { ContractClient } from './contract-client.ts';
import { addSa, gcm128, putPolicy, type Suite, samplePolicy, sampleSa, selector } from './samples.ts';

export type ManualEnd = {
  readonly site: Site;
  readonly dataplane: DataplaneProcess;
  readonly client: ContractClient;
};

export type ManualTunnelOptions = {
  readonly suite?: Suite;
  /** UDP 4500 to 4500. */
  readonly isUdp?: boolean;
  /** Over the SA from left to right, as that end holds it. */
  readonly left?: Partial<Sa>;
  readonly right?: Partial<Sa>;
  /** Over the generated configuration of both ends. */
  readonly config?: Readonly<Record<string, unknown>>;
};

const UDP_PORTS = { sourcePort: 4500, destinationPort: 4500 };
const SPI = { left: 0xc0000001, right: 0xc0000002 };

async function startEnd(lab: Lab, site: Site, config: ManualTunnelOptions['config']): Promise<ManualEnd> {
  const { namespace, dir } = site;
  const overrides = config === undefined ? {} : { overrides: config };
  const dataplane = lab.use(await DataplaneProcess.start({ namespace, dir, logLevel: 'info', ...overrides }));
  const client = new ContractClient(dataplane.target);
  await client.acquire();
  return { site, dataplane, client };
}

/**
 * Two dataplanes in two namespaces with SAs and policies installed by hand: what charon and the agent
 * would have brought about, without them. Packets between the sites' inner addresses go through it.
 */
export class ManualTunnel implements Disposable {
  readonly left: ManualEnd;
  readonly right: ManualEnd;

  private constructor(left: ManualEnd, right: ManualEnd) {
    this.left = left;
    this.right = right;
  }

  static async start(lab: Lab, options: ManualTunnelOptions = {}): Promise<ManualTunnel> {
    const { left, right } = await lab.pair();
    const start = (site: Site): Promise<ManualEnd> => startEnd(lab, site, options.config);
    const tunnel = new ManualTunnel(...(await Promise.all([start(left), start(right)])));
    await tunnel.route();
    await tunnel.install(options);
    return tunnel;
  }

  /** Routes the other site's network into the TUN device. */
  async route(): Promise<void> {
    for (const [here, there] of this.#directions()) {
      await here.site.namespace.ip(
        'route',
        'add',
        there.site.innerNet,
        'dev',
        'ipsec0',
        'src',
        here.site.inner,
      );
    }
  }

  /** Installs a pair of SAs with keys of its own, and the policies that use it. */
  async install(options: ManualTunnelOptions = {}, spis = SPI): Promise<void> {
    const { suite = gcm128, isUdp = false } = options;
    const overridesOf = (from: ManualEnd, holder: ManualEnd): Partial<Sa> =>
      from.site.name === 'left' ? (options[holder.site.name] ?? {}) : {};
    const udp = isUdp ? UDP_PORTS : undefined;
    for (const [from, to] of this.#directions()) {
      const common = {
        spi: spis[from.site.name],
        source: from.site.outer,
        destination: to.site.outer,
        suite,
        udp,
        encryptionKey: randomBytes(suite.encryptionKeyBytes),
        integrityKey: randomBytes(suite.integrityKeyBytes),
        sourceNet: from.site.innerNet,
        destinationNet: to.site.innerNet,
      };
      const selectors = { source: selector(from.site.innerNet), destination: selector(to.site.innerNet) };
      await to.client.must(
        addSa(
          sampleSa({
            ...common,
            direction: Direction.DIRECTION_INBOUND,
            overrides: overridesOf(from, to),
          }),
        ),
        putPolicy(
          samplePolicy({
            ...selectors,
            direction: Direction.DIRECTION_INBOUND,
            spi: common.spi,
            peer: to.site.outer,
            reqid: overridesOf(from, to).reqid ?? 1,
          }),
        ),
      );
      await from.client.must(
        addSa(
          sampleSa({
            ...common,
            direction: Direction.DIRECTION_OUTBOUND,
            overrides: overridesOf(from, from),
          }),
        ),
        putPolicy(samplePolicy({ ...selectors, spi: common.spi, peer: to.site.outer })),
      );
    }
  }

  /** Pings the right inner address from the left one; throws on any loss. */
  async ping(count = 3): Promise<void> {
    const { namespace, inner } = this.left.site;
    const timing = ['-c', String(count), '-i', '0.05', '-W', '1'];
    await namespace.run(['ping', '-q', ...timing, '-I', inner, this.right.site.inner]);
  }

  #directions(): readonly (readonly [ManualEnd, ManualEnd])[] {
    return [
      [this.left, this.right],
      [this.right, this.left],
    ];
  }

  [Symbol.dispose](): void {
    this.left.client[Symbol.dispose]();
    this.right.client[Symbol.dispose]();
  }
}
