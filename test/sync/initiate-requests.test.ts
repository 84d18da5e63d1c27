import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackgroundTasks } from '../../src/sync/background-tasks.ts';
import { InitiateRequests, type InitiateRequestsOptions } from '../../src/sync/initiate-requests.ts';
import { INITIATION } from '../../src/sync/sync-engine-options.ts';
import { silentLogger } from '../../src/util/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type FakeIkeSa, FakeTunnels } from '../support/fake-tunnels.ts';

const NET = { ike: 'gw', child: 'net' };
const REASON = 'capacity: full';

function ikeSa(states: FakeIkeSa['states'] = {}, isSettingUp = false): readonly FakeIkeSa[] {
  return [{ isSettingUp, states }];
}

/** The part alone, on a fake clock and a charon that has one IKE_SA without CHILD_SAs. */
class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly tunnels = new FakeTunnels();
  readonly requests: InitiateRequests;
  isEnabled = true;
  readonly #tasks = new BackgroundTasks();

  constructor(options: Partial<InitiateRequestsOptions> = {}) {
    this.requests = new InitiateRequests({
      ...INITIATION,
      tunnels: this.tunnels,
      clock: this.clock,
      tasks: this.#tasks,
      logger: silentLogger,
      isEnabled: () => this.isEnabled,
      ...options,
    });
    this.list(ikeSa());
  }

  list(sas: readonly FakeIkeSa[], ike = NET.ike): void {
    this.tunnels.ikeSas = new Map([...this.tunnels.ikeSas, [ike, sas]]);
  }

  /** Lets time pass; gives how many initiations it brought. */
  async pass(delayMs: number): Promise<number> {
    const { length } = this.tunnels.initiated;
    await this.clock.advance(delayMs);
    return this.tunnels.initiated.length - length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tasks[Symbol.asyncDispose]();
  }
}

function attemptsOf({ requests }: Bench): number | undefined {
  return requests.waiting[0]?.attempts;
}

test('initiates by both names after the first delay, not at once', async () => {
  await using bench = new Bench();
  bench.requests.want(NET, REASON);
  assert.equal(await bench.pass(999), 0);
  assert.equal(await bench.pass(1), 1);
  assert.deepEqual(bench.tunnels.initiated, [NET]);
  assert.deepEqual(bench.requests.waiting, [{ ...NET, reason: REASON, attempts: 1, nextLookMs: 1_000 }]);
  assert.equal(bench.requests.asked, 1);
});

test('initiates again with a back-off that doubles up to its maximum, for ever', async () => {
  await using bench = new Bench();
  bench.requests.want(NET, REASON);
  await bench.pass(1_000);
  for (const delayMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]) {
    assert.equal(await bench.pass(delayMs - 1), 0, `before ${delayMs} ms`);
    assert.equal(await bench.pass(1), 1, `after ${delayMs} ms`);
  }
});

test('shortens its delays by chance', async () => {
  for (const factor of [0.5, 0.75, 1]) {
    const expectedMs = 1_000 * factor;
    await using bench = new Bench({ jitter: () => factor });
    bench.requests.want(NET, REASON);
    assert.equal(await bench.pass(expectedMs - 1), 0);
    assert.equal(await bench.pass(1), 1);
  }
});

test('keeps its back-off when the setup fails again, and tells the latest reason', async () => {
  await using bench = new Bench();
  bench.requests.want(NET, REASON);
  await bench.pass(3_000);
  bench.requests.want(NET, 'temporary: busy');
  assert.deepEqual(bench.requests.waiting, [
    { ...NET, reason: 'temporary: busy', attempts: 2, nextLookMs: 1_000 },
  ]);
  assert.equal(await bench.pass(999), 0);
  assert.equal(await bench.pass(1), 1);
});

test('is satisfied by one that charon lists as INSTALLED, and starts afresh after that', async () => {
  await using bench = new Bench();
  bench.requests.want(NET, REASON);
  await bench.pass(7_000);
  assert.equal(bench.requests.asked, 3);
  bench.list(ikeSa({ net: 'INSTALLED' }));
  assert.equal(await bench.pass(8_000), 0);
  assert.deepEqual(bench.requests.waiting, []);
  bench.list(ikeSa());
  bench.requests.want(NET, REASON);
  assert.equal(await bench.pass(1_000), 1);
  assert.equal(attemptsOf(bench), 1);
});

test('is not satisfied by another child, nor by one that is replaced or goes', async () => {
  for (const states of [{ other: 'INSTALLED' }, { net: 'REKEYING' }, { net: 'DELETED' }]) {
    await using bench = new Bench();
    bench.list(ikeSa(states));
    bench.requests.want(NET, REASON);
    assert.equal(await bench.pass(1_000), 1, JSON.stringify(states));
  }
});

test('does not initiate while charon is setting one up, and looks again', async () => {
  await using bench = new Bench();
  bench.list(ikeSa({}, true));
  bench.requests.want(NET, REASON);
  assert.equal(await bench.pass(60_000), 0);
  assert(bench.tunnels.listings <= 61, `${bench.tunnels.listings} listings in a minute`);
  bench.list(ikeSa());
  assert.equal(await bench.pass(1_000), 1);
  assert.equal(bench.requests.waiting[0]?.attempts, 1);
});

test('takes an IKE_SA for gone when two listings in a row lack it', async () => {
  await using bench = new Bench();
  bench.list([]);
  bench.requests.want(NET, REASON);
  assert.equal(await bench.pass(1_000), 0);
  assert.equal(bench.tunnels.listings, 1);
  assert.equal(await bench.pass(1_000), 1);
  assert.equal(bench.tunnels.listings, 2);
});

test('a refusal for good ends it, whichever step of the setup came first', async () => {
  await using bench = new Bench();
  bench.requests.want(NET, REASON);
  bench.requests.refuse(NET, 'unsupported-algorithm: no');
  assert.deepEqual(bench.requests.waiting, []);
  bench.requests.want(NET, REASON);
  assert.equal(await bench.pass(INITIATION.refusalMs), 0);
  // A setup of later, perhaps with another proposal.
  bench.requests.want(NET, REASON);
  assert.equal(await bench.pass(1_000), 1);
});

test('a refusal for good of one leaves the others', async () => {
  await using bench = new Bench();
  bench.requests.want(NET, REASON);
  bench.requests.refuse({ ...NET, child: 'other' }, 'unsupported-algorithm: no');
  bench.requests.refuse({ ...NET, ike: 'other' }, 'unsupported-algorithm: no');
  assert.equal(await bench.pass(1_000), 1);
});

test('ends when charon cannot initiate it whatever happens', async () => {
  await using bench = new Bench();
  bench.tunnels.outcome = { kind: 'impossible', reason: 'no such connection' };
  bench.requests.want(NET, REASON);
  assert.equal(await bench.pass(600_000), 1);
  assert.deepEqual(bench.requests.waiting, []);
});

test('goes on, with the reason, when charon fails to initiate', async () => {
  await using bench = new Bench();
  bench.tunnels.outcome = { kind: 'failed', reason: 'establishing failed' };
  bench.requests.want(NET, REASON);
  assert.equal(await bench.pass(1_000), 1);
  assert.equal(bench.requests.waiting[0]?.reason, 'establishing failed');
  assert.equal(await bench.pass(1_000), 1);
});

test('goes on when VICI is away, and for one connection when it fails for another', async () => {
  await using bench = new Bench();
  bench.tunnels.isDown = true;
  bench.requests.want(NET, REASON);
  assert.equal(await bench.pass(600_000), 0);
  bench.tunnels.isDown = false;
  assert.equal(await bench.pass(60_000), 1);

  await using other = new Bench();
  other.tunnels.failing.add('bad');
  other.requests.want({ ike: 'bad', child: 'net' }, REASON);
  other.requests.want(NET, REASON);
  assert.equal(await other.pass(1_000), 1);
  assert.deepEqual(other.tunnels.initiated, [NET]);
});

test('asks for nothing, not even a listing, while the dataplane is not ready', async () => {
  await using bench = new Bench();
  bench.isEnabled = false;
  bench.requests.want(NET, REASON);
  assert.equal(await bench.pass(600_000), 0);
  assert.equal(bench.tunnels.listings, 0);
  bench.isEnabled = true;
  bench.requests.wake();
  assert.equal(await bench.pass(1), 1);
});

test('stops in the middle of a round when the dataplane goes', async () => {
  await using bench = new Bench();
  for (const child of ['a', 'b', 'c']) bench.requests.want({ ...NET, child }, REASON);
  bench.tunnels.onInitiate = () => {
    bench.isEnabled = false;
  };
  bench.requests.want({ ...NET, ike: 'other' }, REASON);
  assert.equal(await bench.pass(60_000), 1);
  assert.equal(bench.tunnels.listings, 3);
  bench.tunnels.onInitiate = undefined;
  bench.isEnabled = true;
  bench.requests.wake();
  assert.equal(await bench.pass(100), 3);
});

test('what fails costs one peer no more than its limit, and other peers nothing', async () => {
  await using bench = new Bench({ limit: { attempts: 4, windowMs: 10_000 } });
  bench.list(ikeSa(), 'quiet');
  for (let index = 0; index < 50; index += 1) bench.requests.want({ ...NET, child: `net-${index}` }, REASON);
  bench.requests.want({ ike: 'quiet', child: 'net' }, REASON);
  const ofNoisy = (): readonly string[] =>
    bench.tunnels.initiated.filter(({ ike }) => ike === NET.ike).map(({ child }) => child);
  await bench.pass(1_500);
  assert.equal(ofNoisy().length, 4);
  assert.equal(bench.tunnels.initiated.length, 5);
  await bench.pass(8_500);
  assert.equal(ofNoisy().length, 4);
  await bench.pass(190_000);
  assert(ofNoisy().length <= 4 * 20, `${ofNoisy().length} in 200 s`);
  // Nobody had a second turn before everybody had a first one.
  assert.equal(new Set(ofNoisy().slice(0, 50)).size, 50);
});

test('what succeeds costs nothing: many are brought up as fast as charon lists them', async () => {
  await using bench = new Bench({ limit: { attempts: 4, windowMs: 600_000 } });
  const up: Record<string, string> = {};
  bench.tunnels.onInitiate = ({ child }) => {
    up[child] = 'INSTALLED';
    bench.list(ikeSa(up));
  };
  for (let index = 0; index < 50; index += 1) bench.requests.want({ ...NET, child: `net-${index}` }, REASON);
  await bench.pass(30_000);
  assert.deepEqual(bench.requests.waiting, []);
  assert.equal(bench.tunnels.initiated.length, 50);
  // One look before each, and one after: those that have to wait are not asked for.
  assert(bench.tunnels.listings <= 150, `${bench.tunnels.listings} listings`);
});

test('keeps a distance between two initiations', async () => {
  await using bench = new Bench({ spacingMs: 100 });
  for (const ike of ['a', 'b', 'c']) {
    bench.list(ikeSa(), ike);
    bench.requests.want({ ...NET, ike }, REASON);
  }
  assert.equal(await bench.pass(1_000), 1);
  assert.equal(await bench.pass(99), 0);
  assert.equal(await bench.pass(1), 1);
});

test('asks a charon for nothing that another one wanted', async () => {
  await using bench = new Bench();
  bench.requests.want(NET, REASON);
  bench.requests.clear();
  assert.equal(await bench.pass(60_000), 0);
});
