import { type Spi, toSpi } from '../sad/index.ts';
import type {
  CallOptions,
  ChildSaListing,
  ChildSaName,
  ChildSaView,
  IkeSaView,
  InitiateOutcome,
  TunnelControl,
} from '../sync/index.ts';
import { AgentError } from '../util/index.ts';
import type { ChildSaSummary, IkeSa, LoadedConnection, ViciClient } from '../vici/index.ts';

/** charon prints 0 for an SPI it does not have yet. */
export function toOptionalSpi(spi: number | undefined): Spi | undefined {
  return spi === undefined || spi === 0 ? undefined : toSpi(spi);
}

function toView(ikeId: number, child: ChildSaSummary): ChildSaView {
  return {
    name: child.name,
    childId: String(child.uniqueId),
    ikeId: String(ikeId),
    state: child.state,
    protocol: child.protocol === 'AH' ? 'ah' : 'esp',
    inboundSpi: toOptionalSpi(child.spiIn),
    outboundSpi: toOptionalSpi(child.spiOut),
  };
}

/** The ids that name one CHILD_SA; by the child's alone charon searches every IKE_SA. */
function toFilter(child: ChildSaView): { readonly ikeId: number; readonly childId: number } {
  return { ikeId: Number(child.ikeId), childId: Number(child.childId) };
}

/** How long charon may be busy before it starts what it was asked to. */
const INITIATE_TIMEOUT_MS = 5_000;

/** IKE tasks that set up a CHILD_SA; which one they do not say. */
const SETUP_TASKS: ReadonlySet<string> = new Set(['CHILD_CREATE', 'QUICK_MODE']);

const SETUP_STATES: ReadonlySet<string> = new Set(['CREATED', 'CONNECTING']);

function toIkeView({ state, tasks, children }: IkeSa): IkeSaView {
  const isTask = [tasks.queued, tasks.active, tasks.passive].flat().some((task) => SETUP_TASKS.has(task));
  return {
    isSettingUp: SETUP_STATES.has(state) || isTask,
    childStates: [...children.values()].map((child) => child.state),
  };
}

/** Not `%any`, a subnet or a range. */
function isOneHost(address: string): boolean {
  return !/^%|[/]|^[0-9a-f.:]+-[0-9a-f.:]+$/i.test(address);
}

/** Why charon cannot initiate it, whatever SAs there are; undefined when it can. */
function initiateObstacle({ ike, child }: ChildSaName, connection: LoadedConnection): string | undefined {
  if (!connection.children.some(({ name }) => name === child))
    return `connection ${ike} has no child ${child}`;
  if (connection.remoteAddresses.some(isOneHost)) return undefined;
  return `connection ${ike} has no address to initiate to`;
}

/** The engine's commands to charon, over VICI. */
export class ViciTunnels implements TunnelControl {
  readonly #client: ViciClient;

  constructor(client: ViciClient) {
    this.#client = client;
  }

  async listChildSas({ signal }: CallOptions = {}): Promise<readonly ChildSaView[]> {
    const { children } = await this.#list({ noblock: true, signal });
    return children;
  }

  /** The same, and whether charon counts as many IKE_SAs. */
  listing({ signal }: CallOptions = {}): Promise<ChildSaListing> {
    return this.#listAndCount({ noblock: true, signal });
  }

  listAllChildSas({ signal }: CallOptions = {}): Promise<ChildSaListing> {
    return this.#listAndCount({ noblock: false, signal });
  }

  async rekeyChildSa(child: ChildSaView, { signal }: CallOptions = {}): Promise<void> {
    const outcome = await this.#client.rekey(toFilter(child), { signal });
    if (outcome.kind === 'failed') throw refused(child, outcome.reason);
  }

  /** Asks for no other CHILD_SA: charon drops what tells of too many. */
  async listIkeSas(name: ChildSaName, { signal }: CallOptions = {}): Promise<readonly IkeSaView[]> {
    const views: IkeSaView[] = [];
    for await (const ikeSa of this.#client.listSas({ ...name, noblock: true, signal })) {
      views.push(toIkeView(ikeSa));
    }
    return views;
  }

  /**
   * A connection for any peer is not initiated: charon would take an IKE_SA of it that it has,
   * whoever the peer is.
   */
  async initiateChildSa(name: ChildSaName, { signal }: CallOptions = {}): Promise<InitiateOutcome> {
    let connection: LoadedConnection | undefined;
    for await (const listed of this.#client.listConns({ ike: name.ike, signal })) connection = listed;
    const obstacle = connection && initiateObstacle(name, connection);
    if (obstacle !== undefined) return { kind: 'impossible', reason: obstacle };
    const options = { signal, wait: false, timeoutMs: INITIATE_TIMEOUT_MS };
    const outcome = await this.#client.initiate(name, options);
    if (outcome.kind === 'done') return { kind: 'started' };
    // One with very many children is in no listing, but its name is.
    const isKnown = connection !== undefined || (await this.#client.getConns({ signal })).includes(name.ike);
    return isKnown ? outcome : { kind: 'impossible', reason: `charon has no connection ${name.ike}` };
  }

  /** charon drops an IKE_SA whose event would be too large, and says nothing: its own count tells. */
  async #listAndCount(options: CallOptions & { readonly noblock: boolean }): Promise<ChildSaListing> {
    const { signal } = options;
    const before = await this.#client.stats({ signal });
    const { children, ikeIds } = await this.#list(options);
    const after = await this.#client.stats({ signal });
    return { children, isComplete: ikeIds.size >= Math.max(before.ikeSas.total, after.ikeSas.total) };
  }

  async #list(
    options: CallOptions & { readonly noblock: boolean },
  ): Promise<{ readonly children: readonly ChildSaView[]; readonly ikeIds: ReadonlySet<number> }> {
    const children: ChildSaView[] = [];
    const ikeIds = new Set<number>();
    for await (const ike of this.#client.listSaSummaries(options)) {
      ikeIds.add(ike.uniqueId);
      for (const child of ike.children) children.push(toView(ike.uniqueId, child));
    }
    return { children, ikeIds };
  }
}

function refused(child: ChildSaView, reason: string): AgentError {
  return new AgentError(`charon did not rekey CHILD_SA ${child.name}{${child.childId}}: ${reason}`, {
    code: 'refused',
    retryable: true,
  });
}
