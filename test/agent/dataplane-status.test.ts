import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readDataplaneStatus } from '../../src/agent/dataplane-status.ts';
import { LinkStatus } from '../../src/agent/link-status.ts';
import type { DataplaneStatus } from '../../src/lagopus/index.ts';
import type { CallOptions } from '../../src/sync/index.ts';
import { AgentError, silentLogger } from '../../src/util/index.ts';

const NOTHING: DataplaneStatus = { spiSlots: [], notes: [] };

function connected(): LinkStatus {
  const link = new LinkStatus('dataplane', silentLogger);
  link.connected('test');
  return link;
}

describe('what the dataplane says of itself', () => {
  it('is nothing when it does not answer, and the agent’s own status is not kept waiting', async () => {
    // As the client of the contract does it: what a call was given up for is what it rejects with.
    const status = ({ signal }: CallOptions = {}): Promise<DataplaneStatus> =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    // A timeout's signal alone keeps no process.
    const alive = setTimeout(() => undefined, 5_000);
    try {
      assert.deepEqual(await readDataplaneStatus({ status }, connected()), NOTHING);
    } finally {
      clearTimeout(alive);
    }
  });

  it('is nothing when it cannot say, or is not there', async () => {
    const status = (): Promise<DataplaneStatus> =>
      Promise.reject(new AgentError('GetStatus: not implemented', { code: 'unsupported' }));
    assert.deepEqual(await readDataplaneStatus({ status }, connected()), NOTHING);
    const away = new LinkStatus('dataplane', silentLogger);
    const bug = (): Promise<DataplaneStatus> => Promise.reject(new Error('asked all the same'));
    assert.deepEqual(await readDataplaneStatus({ status: bug }, away), NOTHING);
  });
});
