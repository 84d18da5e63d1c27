import type {
  ChildSaListing,
  ChildSaName,
  ChildSaView,
  IkeSaView,
  InitiateOutcome,
  TunnelControl,
} from '../../src/sync/index.ts';
import { AgentError } from '../../src/util/index.ts';

/** With the states of its CHILD_SAs by their names. */
export type FakeIkeSa = {
  readonly isSettingUp: boolean;
  readonly states: Readonly<Record<string, string>>;
};

/** charon's ear: lists what a test says and notes the commands. */
export class FakeTunnels implements TunnelControl {
  children: readonly ChildSaView[] = [];
  readonly rekeyed: string[] = [];
  /** By the name of their connection. */
  ikeSas: ReadonlyMap<string, readonly FakeIkeSa[]> = new Map();
  readonly initiated: ChildSaName[] = [];
  outcome: InitiateOutcome = { kind: 'started' };
  onInitiate: ((name: ChildSaName) => void) | undefined;
  /** Connections about which it cannot be asked. */
  readonly failing = new Set<string>();
  listings = 0;
  isDown = false;
  /** Whether `children` are all that charon has. */
  isComplete = true;

  readonly listChildSas = async (): Promise<readonly ChildSaView[]> => {
    if (this.isDown) throw new AgentError('no VICI', { code: 'unavailable', retryable: true });
    this.listings += 1;
    return this.children;
  };

  readonly listAllChildSas = async (): Promise<ChildSaListing> => ({
    children: await this.listChildSas(),
    isComplete: this.isComplete,
  });

  readonly rekeyChildSa = async ({ childId }: ChildSaView): Promise<void> => {
    this.rekeyed.push(childId);
  };

  readonly listIkeSas = async ({ ike, child }: ChildSaName): Promise<readonly IkeSaView[]> => {
    if (this.isDown || this.failing.has(ike))
      throw new AgentError('no VICI', { code: 'unavailable', retryable: true });
    this.listings += 1;
    return (this.ikeSas.get(ike) ?? []).map(({ isSettingUp, states }) => {
      const state = states[child];
      return { isSettingUp, childStates: state === undefined ? [] : [state] };
    });
  };

  readonly initiateChildSa = async (name: ChildSaName): Promise<InitiateOutcome> => {
    this.initiated.push(name);
    this.onInitiate?.(name);
    return this.outcome;
  };
}
