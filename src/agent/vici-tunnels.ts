import { type Spi, toSpi } from '../sad/index.ts';
import type { CallOptions, ChildSaView, TunnelControl } from '../sync/index.ts';
import { AgentError } from '../util/index.ts';
import type { ChildSaSummary, ViciClient } from '../vici/index.ts';
import type { CharonListing } from './charon-audit.ts';

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

/** The engine's commands to charon, over VICI. */
export class ViciTunnels implements TunnelControl {
  readonly #client: ViciClient;

  constructor(client: ViciClient) {
    this.#client = client;
  }

  async listChildSas(options?: CallOptions): Promise<readonly ChildSaView[]> {
    return (await this.#list(options)).children;
  }

  /** The same, and whether charon counts as many IKE_SAs. */
  async listing(options: CallOptions = {}): Promise<CharonListing> {
    const before = await this.#client.stats(options);
    const { children, ikeIds } = await this.#list(options);
    const after = await this.#client.stats(options);
    const count = Math.max(before.ikeSas.total, after.ikeSas.total);
    return { children, isComplete: ikeIds.size >= count };
  }

  async rekeyChildSa(child: ChildSaView, { signal }: CallOptions = {}): Promise<void> {
    const outcome = await this.#client.rekey(toFilter(child), { signal });
    if (outcome.kind === 'failed') throw refused(child, outcome.reason);
  }

  async #list({ signal }: CallOptions = {}): Promise<{ children: ChildSaView[]; ikeIds: Set<number> }> {
    const children: ChildSaView[] = [];
    const ikeIds = new Set<number>();
    for await (const ike of this.#client.listSaSummaries({ noblock: true, signal })) {
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
