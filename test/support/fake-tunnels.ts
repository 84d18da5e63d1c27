import type {
  ChildSaName,
  ChildSaView,
  IkeSaView,
  InitiateOutcome,
  TunnelControl,
} from '../../src/sync/index.ts';
import { AgentError } from '../../src/util/index.ts';

/** charon's ear: lists what a test says and notes the commands. */
export class FakeTunnels implements TunnelControl {
  children: readonly ChildSaView[] = [];
  readonly rekeyed: string[] = [];
  ikeSas: ReadonlyMap<string, readonly IkeSaView[]> = new Map();
  readonly initiated: ChildSaName[] = [];
  outcome: InitiateOutcome = { kind: 'started' };
  onInitiate: ((name: ChildSaName) => void) | undefined;
  /** Connections about which it cannot be asked. */
  readonly failing = new Set<string>();
  listings = 0;
  isDown = false;

  readonly listChildSas = async (): Promise<readonly ChildSaView[]> => {
    if (this.isDown) throw new AgentError('no VICI', { code: 'unavailable', retryable: true });
    this.listings += 1;
    return this.children;
  };

  readonly rekeyChildSa = async ({ childId }: ChildSaView): Promise<void> => {
    this.rekeyed.push(childId);
  };

  readonly listIkeSas = async (ike: string): Promise<readonly IkeSaView[]> => {
    if (this.isDown || this.failing.has(ike))
      throw new AgentError('no VICI', { code: 'unavailable', retryable: true });
    this.listings += 1;
    return this.ikeSas.get(ike) ?? [];
  };

  readonly initiateChildSa = async (name: ChildSaName): Promise<InitiateOutcome> => {
    this.initiated.push(name);
    this.onInitiate?.(name);
    return this.outcome;
  };
}
