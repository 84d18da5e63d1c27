import type { ChildSaListing, ChildSaView, TunnelControl } from '../../src/sync/index.ts';
import { AgentError } from '../../src/util/index.ts';

/** charon's ear: lists what a test says and notes the commands. */
export class FakeTunnels implements TunnelControl {
  children: readonly ChildSaView[] = [];
  readonly rekeyed: string[] = [];
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
}
