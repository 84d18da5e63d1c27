import { resolve } from 'node:path';
import { GenericContainer, getContainerRuntimeClient } from 'testcontainers';
import { ROOT } from '../../support/index.ts';
import type { ComposeService } from './compose-file.ts';

/** What everything made by these tests carries, so that a later run finds what a killed one left. */
export const TEST_LABEL = 'lagopus-ipsec-agent.test';

const NANOSECONDS = 1e9;

/** Names on this machine of what compose.yaml names. */
export type Names = {
  readonly network: (name: string) => string;
  readonly volume: (name: string) => string;
  readonly container: (service: string) => string;
};

/** A container as `docker compose` would make it of the same service. */
export class ServiceContainer extends GenericContainer {
  readonly #service: ComposeService;
  readonly #names: Names;

  constructor(name: string, service: ComposeService, names: Names, image = service.image) {
    super(image);
    this.#service = service;
    this.#names = names;
    this.withName(names.container(name));
    this.withLabels({ [TEST_LABEL]: name });
    this.withAutoRemove(false);
    this.withDroppedCapabilities(...service.cap_drop);
    this.withAddedCapabilities(...service.cap_add);
    if (service.security_opt.length > 0) this.withSecurityOpt(...service.security_opt);
    if (service.entrypoint !== undefined) this.withEntrypoint([...service.entrypoint]);
    // An entrypoint of one's own comes without the image's command.
    if (service.command !== undefined) this.withCommand([...service.command]);
    else if (service.entrypoint !== undefined) this.withCommand([]);
    if (service.tmpfs.length > 0) {
      this.withTmpFs(Object.fromEntries(service.tmpfs.map((path) => [path, ''])));
    }
    this.#setNetwork();
    this.#setHealthcheck();
    this.hostConfig.ReadonlyRootfs = service.read_only;
    this.hostConfig.Sysctls = service.sysctls;
    this.hostConfig.Binds = service.volumes.map((volume) => this.#bind(volume));
    this.hostConfig.Devices = service.devices.map((device) => {
      const [onHost = '', inContainer = onHost] = device.split(':');
      return { PathOnHost: onHost, PathInContainer: inContainer, CgroupPermissions: 'rwm' };
    });
    if (service.stop_signal !== undefined) this.createOpts.StopSignal = service.stop_signal;
  }

  /** Every network but the first, which it is created in. */
  protected override async containerCreated(id: string): Promise<void> {
    const client = await getContainerRuntimeClient();
    for (const [network, { ipv4_address }] of Object.entries(this.#service.networks).slice(1)) {
      await client.network
        .getById(this.#names.network(network))
        .connect({ Container: id, EndpointConfig: { IPAMConfig: { IPv4Address: ipv4_address } } });
    }
  }

  #bind(volume: string): string {
    const [source = '', ...rest] = volume.split(':');
    const name = source.startsWith('./') ? resolve(ROOT, source) : this.#names.volume(source);
    return [name, ...rest].join(':');
  }

  #setNetwork(): void {
    const { network_mode: mode, networks } = this.#service;
    if (mode !== undefined) {
      const [, other] = mode.split(':');
      this.withNetworkMode(other === undefined ? mode : `container:${this.#names.container(other)}`);
      return;
    }
    const [first] = Object.entries(networks);
    if (first === undefined) throw new Error('a service has neither a network nor a network_mode');
    const [network, { ipv4_address }] = first;
    this.withNetworkMode(this.#names.network(network));
    this.createOpts.NetworkingConfig = {
      EndpointsConfig: { [this.#names.network(network)]: { IPAMConfig: { IPv4Address: ipv4_address } } },
    };
  }

  #setHealthcheck(): void {
    const { healthcheck } = this.#service;
    if (healthcheck === undefined) return;
    this.createOpts.Healthcheck =
      'disable' in healthcheck
        ? { Test: ['NONE'] }
        : {
            Test: healthcheck.test,
            Interval: healthcheck.interval * NANOSECONDS,
            Timeout: healthcheck.timeout * NANOSECONDS,
            Retries: healthcheck.retries,
          };
  }
}
