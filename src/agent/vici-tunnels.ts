import { type Spi, toSpi } from '../sad/index.ts';
import type { CallOptions, ChildSaListing, ChildSaView, TunnelControl } from '../sync/index.ts';
import { AgentError } from '../util/index.ts';
import type { ChildSaSummary, ViciClient } from '../vici/index.ts';

/** charon prints 0 for an SPI it does not have yet. */
function toOptionalSpi(spi: number | undefined): Spi | undefined {
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

  async listChildSas({ signal }: CallOptions = {}): Promise<readonly ChildSaView[]> {
    const { children } = await this.#list({ noblock: true, signal });
    return children;
  }

  async listAllChildSas({ signal }: CallOptions = {}): Promise<ChildSaListing> {
    const before = await this.#client.stats({ signal });
    const { children, ikeSas } = await this.#list({ signal });
    const after = await this.#client.stats({ signal });
    // charon drops an IKE_SA whose event would be too large, and says nothing.
    return { children, isComplete: ikeSas >= Math.max(before.ikeSas.total, after.ikeSas.total) };
  }

  async rekeyChildSa(child: ChildSaView, { signal }: CallOptions = {}): Promise<void> {
    const outcome = await this.#client.rekey(toFilter(child), { signal });
    if (outcome.kind === 'failed') throw refused(child, outcome.reason);
  }

  async #list(
    options: CallOptions & { readonly noblock?: boolean },
  ): Promise<{ readonly children: readonly ChildSaView[]; readonly ikeSas: number }> {
    const children: ChildSaView[] = [];
    let ikeSas = 0;
    for await (const ike of this.#client.listSaSummaries(options)) {
      ikeSas += 1;
      for (const child of ike.children) children.push(toView(ike.uniqueId, child));
    }
    return { children, ikeSas };
  }
}

function refused(child: ChildSaView, reason: string): AgentError {
  return new AgentError(`charon did not rekey CHILD_SA ${child.name}{${child.childId}}: ${reason}`, {
    code: 'refused',
    retryable: true,
  });
}
