import { join } from 'node:path';
import {
  Direction,
  DscpCopy,
  Mode,
  type Operation,
  type OperationResult,
  PolicyAction,
  Protocol,
  ResultCode,
  Sa,
} from '../../../src/proto/index.ts';
import { silentLogger } from '../../../src/util/index.ts';
import { VswDriver, vswConfigSchema } from '../../../src/vsw/index.ts';
import { ContractClient } from '../../dataplane/contract-client.ts';
import { address, saId, selector } from '../../dataplane/samples.ts';
import {
  FakeOpenconfigd,
  FakeVsw,
  homedRouterConfig,
  type OpenconfigdOptions,
  routerConfig,
  type VswOptions,
} from '../../support/fake-lagopus/index.ts';
import { eventually, TempDir } from '../../support/index.ts';

export const LOCAL = '198.18.0.1';
export const PEER = '198.18.0.2';
const OURS = '198.19.1.0/24';
const THEIRS = '198.19.2.0/24';

export type RigOptions = {
  readonly via?: 'relay' | 'pfkey';
  readonly vrfs?: readonly string[];
  readonly openconfigd?: OpenconfigdOptions;
  readonly vsw?: Partial<VswOptions>;
  /** Between vsw and openconfigd; with `via: relay` always. */
  readonly isRelayed?: boolean;
  /** False: the client that stands for the agent never says that a comparison is done. */
  readonly isInSync?: boolean;
};

/** A driver, a vsw behind it and an openconfigd before it; a client of the contract. */
export class Rig implements AsyncDisposable {
  readonly dir: TempDir;
  readonly openconfigd: FakeOpenconfigd;
  readonly vsw: FakeVsw;
  readonly said: string[];
  driver: VswDriver;
  client: ContractClient;
  readonly #start: () => Promise<VswDriver>;
  readonly #isInSync: boolean;

  private constructor(
    parts: Pick<Rig, 'dir' | 'openconfigd' | 'vsw' | 'said' | 'driver' | 'client'> & {
      readonly start: () => Promise<VswDriver>;
      readonly isInSync: boolean;
    },
  ) {
    this.dir = parts.dir;
    this.openconfigd = parts.openconfigd;
    this.vsw = parts.vsw;
    this.said = parts.said;
    this.driver = parts.driver;
    this.client = parts.client;
    this.#start = parts.start;
    this.#isInSync = parts.isInSync;
  }

  static async start(options: RigOptions = {}): Promise<Rig> {
    const { via = 'relay', vrfs = ['vrf1'], isInSync = true } = options;
    const isRelayed = via === 'relay' || options.isRelayed === true;
    const dir = new TempDir();
    const said: string[] = [];
    const openconfigd = await FakeOpenconfigd.start({
      // Without a relay its tunnels would open with the next commit only.
      config: isRelayed ? homedRouterConfig(...vrfs) : routerConfig(...vrfs),
      ...options.openconfigd,
    });
    let port = 0;
    const startDriver = async (): Promise<VswDriver> => {
      const config = vswConfigSchema.parse({
        listen: `unix://${join(dir.path, 'driver.sock')}`,
        vrfs: [...vrfs],
        via,
        ...(isRelayed ? { relay: { listen: `127.0.0.1:${port}`, openconfigd: openconfigd.address } } : {}),
        pfkeySocket: join(dir.path, 'lagopus-VRF.sock'),
        journal: join(dir.path, 'journal.json'),
        statusSocket: join(dir.path, 'status.sock'),
        surveySeconds: 2,
      });
      const note = (...fields: readonly unknown[]): void =>
        void said.push(fields.map((f) => JSON.stringify(f)).join(' '));
      const driver = await VswDriver.start(config, { ...silentLogger, warn: note, error: note });
      port = driver.relayPort ?? 0;
      return driver;
    };
    const driver = await startDriver();
    const vsw = await FakeVsw.start({
      server: isRelayed ? `127.0.0.1:${port}` : openconfigd.address,
      pfkeyPath: (vrf) => join(dir.path, `lagopus-${vrf}.sock`),
      applyDelayMs: 5,
      ...options.vsw,
    });
    const client = new ContractClient(`unix://${join(dir.path, 'driver.sock')}`);
    const rig = new Rig({ dir, openconfigd, vsw, said, driver, client, start: startDriver, isInSync });
    await rig.acquire();
    return rig;
  }

  /** Waits until vsw was taken over, takes the writer's role, and says that it has compared. */
  async acquire(): Promise<void> {
    await eventually('vsw is taken over', () => this.driver.status.problem === undefined);
    await this.client.acquire();
    if (this.#isInSync) await this.client.reportInSync();
  }

  /** Beside the one that runs. */
  async startAnotherDriver(): Promise<void> {
    const driver = await this.#start();
    await driver[Symbol.asyncDispose]();
  }

  async restartDriver(): Promise<void> {
    await this.driver[Symbol.asyncDispose]();
    this.driver = await this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    this.vsw.stop();
    await this.driver[Symbol.asyncDispose]();
    this.openconfigd.stop();
    await this.dir[Symbol.asyncDispose]();
  }
}

export type SampleSa = {
  readonly direction: 'inbound' | 'outbound';
  readonly spi: number;
  readonly peer?: string;
  readonly vrf?: string;
  /** The key's first byte. */
  readonly key?: number;
  readonly with?: Partial<Sa>;
};

/** An SA as charon's would come, with what vsw cannot do turned off. */
export function sampleSa({
  direction,
  spi,
  peer = PEER,
  vrf = '',
  key = 1,
  with: other = {},
}: SampleSa): Operation {
  const isInbound = direction === 'inbound';
  const [source, destination] = isInbound ? [peer, LOCAL] : [LOCAL, peer];
  const [from, to] = isInbound ? [THEIRS, OURS] : [OURS, THEIRS];
  return operation({
    addSa: {
      sa: {
        ...Sa.create(),
        id: saId(isInbound ? Direction.DIRECTION_INBOUND : Direction.DIRECTION_OUTBOUND, spi, destination),
        source: address(source),
        mode: Mode.MODE_TUNNEL,
        reqid: 1,
        encryption: 20,
        encryptionKey: Buffer.alloc(20, key + (spi % 200)),
        sourceSelectors: [selector(from)],
        destinationSelectors: [selector(to)],
        copyDscp: DscpCopy.DSCP_COPY_NO,
        innerVrf: vrf,
        ...other,
      },
    },
  });
}

export function deleteSa({ direction, spi, peer = PEER }: SampleSa): Operation {
  const isInbound = direction === 'inbound';
  const id = saId(
    isInbound ? Direction.DIRECTION_INBOUND : Direction.DIRECTION_OUTBOUND,
    spi,
    isInbound ? LOCAL : peer,
  );
  return operation({ deleteSa: { id } });
}

/** A protecting policy that names an SA. */
export function samplePolicy({
  direction,
  spi,
  peer = PEER,
  vrf = '',
  network = THEIRS,
}: SampleSa & { readonly network?: string }): Operation {
  const isInbound = direction === 'inbound';
  const [source, destination] = isInbound ? [peer, LOCAL] : [LOCAL, peer];
  const [from, to] = isInbound ? [network, OURS] : [OURS, network];
  return operation({
    putPolicy: {
      policy: {
        id: {
          direction: isInbound ? Direction.DIRECTION_INBOUND : Direction.DIRECTION_OUTBOUND,
          source: selector(from),
          destination: selector(to),
          mark: undefined,
          ifId: 0,
          interface: '',
          label: Buffer.alloc(0),
          innerVrf: vrf,
        },
        action: PolicyAction.POLICY_ACTION_PROTECT,
        priority: 1000,
        templates: [
          {
            protocol: Protocol.PROTOCOL_ESP,
            mode: Mode.MODE_TUNNEL,
            source: address(source),
            destination: address(destination),
            spi,
            reqid: 1,
          },
        ],
        requiredFeatures: [],
      },
    },
  });
}

/** The same selector, with nothing coming through. */
export function asDiscard({ putPolicy }: Operation): Operation {
  const policy = putPolicy?.policy;
  if (policy === undefined) throw new Error('no policy');
  return operation({
    putPolicy: { policy: { ...policy, action: PolicyAction.POLICY_ACTION_DISCARD, templates: [] } },
  });
}

export function operation(fields: Partial<Operation>): Operation {
  return {
    addSa: undefined,
    updateSa: undefined,
    deleteSa: undefined,
    putPolicy: undefined,
    deletePolicy: undefined,
    reserveSpi: undefined,
    ...fields,
  };
}

export function reserve(): Operation {
  return operation({
    reserveSpi: { protocol: Protocol.PROTOCOL_ESP, source: address(PEER), destination: address(LOCAL) },
  });
}

export function refusal(result: OperationResult): readonly [string, string] {
  const name = Object.entries(ResultCode).find(([, value]) => value === result.code)?.[0] ?? '?';
  return [name.replace('RESULT_CODE_', ''), result.message];
}
