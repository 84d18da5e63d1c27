import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ChildSa, type IkeSa, ViciClient, type ViciEvent, type ViciGap } from '../../src/vici/index.ts';
import {
  CHILD_NAME,
  CharonDaemon,
  eventually,
  IKE_NAME,
  Lab,
  loadTunnel,
  tunnelEnd,
} from '../support/index.ts';

async function startPair(lab: Lab): Promise<{ a: CharonDaemon; b: CharonDaemon }> {
  const { left, right } = await lab.pair();
  const [a, b] = await Promise.all(
    [left, right].map(({ namespace, dir }) => CharonDaemon.start({ namespace, dir, backend: 'libipsec' })),
  );
  assert.ok(a !== undefined && b !== undefined);
  lab.use(a);
  lab.use(b);
  const tunnel = { left: tunnelEnd(left), right: tunnelEnd(right), isEncapsulated: true };
  await loadTunnel(tunnel, a.swanctl, b.swanctl);
  return { a, b };
}

async function installedChildren(vici: ViciClient): Promise<readonly ChildSa[]> {
  const { ikeSas, isComplete } = await vici.loadSas({ noblock: true });
  assert.ok(isComplete);
  return [...ikeSas.values()]
    .flatMap(({ children }) => [...children.values()])
    .filter(({ state }) => state === 'INSTALLED');
}

/** Takes events until one of this kind comes. */
async function next<Kind extends ViciEvent['kind']>(
  events: AsyncIterator<ViciEvent | ViciGap>,
  kind: Kind,
): Promise<Extract<ViciEvent, { kind: Kind }>> {
  for (let count = 0; count < 20; count += 1) {
    const { value, done } = await events.next();
    assert.ok(done !== true, `no ${kind} before the end`);
    if (isKind(value, kind)) return value;
  }
  return assert.fail(`no ${kind} among 20 events`);
}

function isKind<Kind extends ViciEvent['kind']>(
  event: ViciEvent | ViciGap,
  kind: Kind,
): event is Extract<ViciEvent, { kind: Kind }> {
  return event.kind === kind;
}

test('commands and watches a real charon', { timeout: 60_000 }, async () => {
  await using lab = await Lab.create();
  const { a, b } = await startPair(lab);
  await using vici = new ViciClient({ uri: a.viciUri });
  await using peer = new ViciClient({ uri: b.viciUri });
  await using subscription = await vici.subscribe(['ike-updown', 'child-updown', 'child-rekey', 'ike-rekey']);
  const events = subscription[Symbol.asyncIterator]();

  assert.match((await vici.version()).version, /^\d+\.\d+/);
  assert.ok((await vici.stats()).plugins.includes('vici'));
  assert.deepEqual((await vici.loadSas()).ikeSas.size, 0);
  const connections: string[] = [];
  for await (const { name } of vici.listConns()) connections.push(name);
  assert.deepEqual(connections, [IKE_NAME]);

  assert.deepEqual(await vici.initiate({ child: CHILD_NAME }), { kind: 'done' });
  const up = await next(events, 'child-updown');
  const [child] = await installedChildren(vici);
  const [peerChild] = await installedChildren(peer);
  assert.ok(child?.installed !== undefined && peerChild?.installed !== undefined);
  assert.equal(up.isUp, true);
  assert.deepEqual([...up.ike.children.keys()], [child.uniqueId]);
  assert.equal(child.installed.encap, true);
  assert.equal(child.installed.inbound.spi, peerChild.installed.outbound.spi);
  assert.equal(child.installed.outbound.spi, peerChild.installed.inbound.spi);
  assert.deepEqual(child.localTs, peerChild.remoteTs);

  assert.deepEqual(await vici.rekey({ childId: child.uniqueId }), { kind: 'done', matches: 1 });
  const rekeyed = await next(events, 'child-rekey');
  assert.equal(rekeyed.old.uniqueId, child.uniqueId);
  const [renewed] = await eventually('one installed CHILD_SA', async () => {
    const children = await installedChildren(vici);
    return children.length === 1 && children[0]?.uniqueId !== child.uniqueId ? children : undefined;
  });
  assert.equal(renewed?.uniqueId, rekeyed.new.uniqueId);
  assert.equal(renewed.installed?.inbound.spi, rekeyed.new.installed?.inbound.spi);

  const only: IkeSa[] = [];
  for await (const ike of vici.listSas({ ikeId: up.ike.uniqueId, childId: renewed.uniqueId })) only.push(ike);
  assert.deepEqual(
    only.map(({ children }) => [...children.keys()]),
    [[renewed.uniqueId]],
  );

  assert.deepEqual(await vici.rekey({ ikeId: up.ike.uniqueId }), { kind: 'done', matches: 1 });
  const ikeRekeyed = await next(events, 'ike-rekey');
  assert.equal(ikeRekeyed.old.uniqueId, up.ike.uniqueId);

  assert.deepEqual(await vici.terminate({ ikeId: ikeRekeyed.new.uniqueId }), { kind: 'done', matches: 1 });
  const down = await next(events, 'ike-updown');
  assert.deepEqual([down.isUp, down.ike.uniqueId], [false, ikeRekeyed.new.uniqueId]);
  assert.equal((await installedChildren(vici)).length, 0);
});

test('tells what charon refuses, and what it does not know', { timeout: 60_000 }, async () => {
  await using lab = await Lab.create();
  const { a } = await startPair(lab);
  await using vici = new ViciClient({ uri: a.viciUri });
  const outcomes = [
    await vici.rekey({ childId: 999 }),
    await vici.rekey({}),
    await vici.terminate({ ikeId: 999 }),
    await vici.initiate({ child: 'nothing' }),
  ];
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['failed', 'failed', 'failed', 'failed'],
  );
  assert.deepEqual(outcomes[3], { kind: 'failed', reason: "CHILD_SA config 'nothing' not found" });
  await assert.rejects(vici.request('fly'), { code: 'unsupported' });
  await assert.rejects(vici.subscribe(['no-such-event']), { code: 'unsupported' });
  assert.ok((await vici.stats()).workers.total > 0);
});

test('connects however many do at once, though charon lets 3 wait', { timeout: 60_000 }, async () => {
  await using lab = await Lab.create();
  const { a } = await startPair(lab);
  await using stack = new AsyncDisposableStack();
  const clients = Array.from({ length: 100 }, () => stack.use(new ViciClient({ uri: a.viciUri })));
  const versions = await Promise.all(clients.map((client) => client.version()));
  assert.equal(versions.length, 100);
});

test('notices at once that charon is gone', { timeout: 60_000 }, async () => {
  await using lab = await Lab.create();
  const { a } = await startPair(lab);
  await using vici = new ViciClient({ uri: a.viciUri });
  await using subscription = await vici.subscribe(['child-updown']);
  await vici.stats();
  const events = subscription[Symbol.asyncIterator]();
  const lost = assert.rejects(events.next(), { code: 'unavailable', retryable: true });
  await a[Symbol.asyncDispose]();
  await lost;
  await assert.rejects(vici.stats(), { code: 'unavailable' });
});
