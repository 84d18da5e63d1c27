import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { mappedIpv4 } from '../../src/dataplane/address.ts';
import { Algorithms } from '../../src/dataplane/algorithms.ts';
import { createClassifier } from '../../src/dataplane/classifier.ts';
import { createEngine, type NativeCallbacks } from '../../src/dataplane/native.ts';
import { Sad } from '../../src/dataplane/sad.ts';
import { noScope, Scopes } from '../../src/dataplane/scopes.ts';
import { Spd } from '../../src/dataplane/spd.ts';
import { Direction, Policy, PolicyAction, type Sa } from '../../src/proto/index.ts';
import { alignmentOf, ipv4, sealReference, udp, withTrailer } from '../native/esp-reference.ts';
import { noMtus, samplePolicy, sampleSa, selector } from './samples.ts';

const author = { owner: 'one', charonInstanceId: new Uint8Array(0) };
const HERE = '198.18.0.2';
const OURS = '198.19.1.0/24';

/** SAD, SPD and engine as a dataplane has them, without devices. */
class InboundLab {
  readonly #late: { classify: NativeCallbacks['classify'] | undefined } = { classify: undefined };
  readonly engine = createEngine({
    classify: (...packet) => this.#late.classify?.(...packet) ?? new Uint32Array(3),
    saEvent: () => undefined,
    acquire: () => undefined,
    dropped: () => undefined,
    fault: () => undefined,
    closed: () => undefined,
  });
  readonly sad: Sad;
  readonly spd: Spd;
  readonly #sequences = new Map<Sa, number>();

  constructor() {
    const scopes = new Scopes([{ name: 'ipsec0', scope: noScope }]);
    const common = { engine: this.engine, scopes, mtus: noMtus, now: () => 0 };
    const algorithms = new Algorithms(this.engine);
    this.sad = new Sad({ ...common, algorithms, maxSas: 10, fwmark: 66, encapPort: 4500, hasIpv6: true });
    this.spd = new Spd({ ...common, sad: this.sad, maxPolicies: 10 });
    this.#late.classify = createClassifier(this.sad, this.spd);
  }

  /** An inbound SA for a remote network. */
  add(spi: number, reqid: number, sourceNet: string, owner = author.owner): Sa {
    const sa = sampleSa({
      direction: Direction.DIRECTION_INBOUND,
      spi,
      source: '198.18.0.1',
      destination: HERE,
      sourceNet,
      destinationNet: OURS,
      overrides: { reqid },
    });
    this.sad.add({ ...sa, encryptionKey: Buffer.from(sa.encryptionKey) }, { ...author, owner });
    return sa;
  }

  put(
    sourceNet: string,
    template: { readonly spi?: number; readonly reqid?: number },
    options: { readonly action?: PolicyAction; readonly priority?: number; readonly owner?: string } = {},
  ): void {
    const { owner = author.owner, ...rest } = options;
    const policy = samplePolicy({
      direction: Direction.DIRECTION_INBOUND,
      source: selector(sourceNet),
      destination: selector(OURS),
      peer: HERE,
      ...rest,
    });
    const templates = policy.templates.map((one) => ({ ...one, spi: 0, ...template }));
    this.spd.put(Policy.create({ ...policy, templates }), { ...author, owner });
  }

  delete(sourceNet: string): void {
    const { id } = samplePolicy({
      direction: Direction.DIRECTION_INBOUND,
      source: selector(sourceNet),
      destination: selector(OURS),
      peer: HERE,
    });
    this.spd.delete({ id }, author);
  }

  /** Whether a packet from this address that comes on the SA is delivered; else the counter that went up. */
  receive(sa: Sa, from: string): string {
    const before = this.engine.statistics();
    const sequence = (this.#sequences.get(sa) ?? 0) + 1;
    this.#sequences.set(sa, sequence);
    const keys = { spi: sa.id?.spi ?? 0, ...sa };
    const inner = ipv4({
      source: addressOf(from),
      destination: addressOf('198.19.1.1'),
      protocol: 17,
      payload: udp(1, 2, randomBytes(10)),
    });
    const payload = sealReference(keys, {
      sequence,
      iv: randomBytes(8),
      text: withTrailer(inner, alignmentOf(keys)),
    });
    const outer = ipv4({
      source: addressOf('198.18.0.1'),
      destination: addressOf(HERE),
      protocol: 50,
      payload,
    });
    if (Buffer.isBuffer(this.engine.decapsulate(outer))) return 'delivered';
    const after = this.engine.statistics();
    return Object.keys(after).find((name) => after[name] !== before[name]) ?? 'nothing';
  }
}

function addressOf(text: string): bigint {
  return mappedIpv4(Buffer.from(text.split('.').map(Number)).readUInt32BE());
}

const REMOTE = '198.19.2.0/24';

describe('inbound policies', () => {
  it('let in what comes on an SA of their reqid, whatever SPI they name', () => {
    const lab = new InboundLab();
    const old = lab.add(0xc0000001, 7, REMOTE);
    lab.put(REMOTE, { spi: 0xc0000001, reqid: 7 });
    assert.equal(lab.receive(old, '198.19.2.1'), 'delivered');
    const rekeyed = lab.add(0xc0000002, 7, REMOTE);
    lab.put(REMOTE, { spi: 0xc0000002, reqid: 7 });
    for (const sa of [old, rekeyed, old]) assert.equal(lab.receive(sa, '198.19.2.1'), 'delivered');
  });

  it('keep out what no policy is for', () => {
    const lab = new InboundLab();
    const sa = lab.add(0xc0000001, 7, REMOTE);
    assert.equal(lab.receive(sa, '198.19.2.1'), 'inboundNoPolicy');
    lab.put('198.19.2.0/25', { reqid: 7 });
    assert.equal(lab.receive(sa, '198.19.2.1'), 'delivered');
    assert.equal(lab.receive(sa, '198.19.2.129'), 'inboundNoPolicy');
    assert.equal(lab.receive(sa, '198.19.3.1'), 'inboundSelectors');
  });

  it("keep out another tunnel's traffic, of a peer whose own selectors hold it", () => {
    const lab = new InboundLab();
    const branch = lab.add(0xc0000001, 7, REMOTE);
    const wide = lab.add(0xc0000002, 8, '198.19.0.0/16');
    lab.put(REMOTE, { reqid: 7 }, { priority: 100 });
    lab.put('198.19.0.0/16', { reqid: 8 }, { priority: 200 });
    assert.equal(lab.receive(branch, '198.19.2.1'), 'delivered');
    assert.equal(lab.receive(wide, '198.19.3.1'), 'delivered');
    assert.equal(lab.receive(wide, '198.19.2.1'), 'inboundTemplate');
    // The other one's answer is not what the flow cache has for this one.
    assert.equal(lab.receive(branch, '198.19.2.1'), 'delivered');
  });

  it("are not satisfied by another owner's SA of the same reqid", () => {
    const lab = new InboundLab();
    const sa = lab.add(0xc0000001, 7, REMOTE, 'other');
    lab.put(REMOTE, { reqid: 7 });
    assert.equal(lab.receive(sa, '198.19.2.1'), 'inboundTemplate');
  });

  it('without a reqid ask for the SA they name', () => {
    const lab = new InboundLab();
    const [named, another] = [lab.add(0xc0000001, 0, REMOTE), lab.add(0xc0000002, 0, REMOTE)];
    lab.put(REMOTE, { spi: 0xc0000001, reqid: 0 });
    assert.equal(lab.receive(named, '198.19.2.1'), 'delivered');
    assert.equal(lab.receive(another, '198.19.2.1'), 'inboundTemplate');
  });

  it('let in for a moment more what they did, when they are deleted, and no other', async () => {
    const lab = new InboundLab();
    const sa = lab.add(0xc0000001, 7, REMOTE);
    const another = lab.add(0xc0000002, 8, REMOTE);
    lab.put(REMOTE, { reqid: 7 });
    assert.equal(lab.receive(sa, '198.19.2.1'), 'delivered');
    lab.delete(REMOTE);
    assert.equal(lab.receive(sa, '198.19.2.1'), 'delivered');
    assert.equal(lab.receive(another, '198.19.2.1'), 'inboundNoPolicy');
    lab.put('198.19.2.1/32', {}, { action: PolicyAction.POLICY_ACTION_DISCARD });
    assert.equal(lab.receive(sa, '198.19.2.1'), 'inboundDiscarded');
    assert.equal(lab.receive(sa, '198.19.2.2'), 'delivered');
    await setTimeout(1_100);
    assert.equal(lab.receive(sa, '198.19.2.2'), 'inboundNoPolicy');
  });

  it('that bypass or discard let nothing in from a tunnel', () => {
    const lab = new InboundLab();
    const sa = lab.add(0xc0000001, 7, REMOTE);
    lab.put(REMOTE, {}, { action: PolicyAction.POLICY_ACTION_BYPASS });
    assert.equal(lab.receive(sa, '198.19.2.1'), 'inboundTemplate');
    lab.put(REMOTE, {}, { action: PolicyAction.POLICY_ACTION_DISCARD });
    assert.equal(lab.receive(sa, '198.19.2.1'), 'inboundDiscarded');
  });

  it('follow an SA whose reqid changes', () => {
    const lab = new InboundLab();
    const sa = lab.add(0xc0000001, 7, REMOTE);
    lab.put(REMOTE, { reqid: 9 });
    assert.equal(lab.receive(sa, '198.19.2.1'), 'inboundTemplate');
    lab.sad.update(
      {
        id: sa.id,
        newSource: sa.source,
        newDestination: sa.id?.destination,
        newUdpEncapsulation: undefined,
        newReqid: 9,
      },
      author,
    );
    assert.equal(lab.receive(sa, '198.19.2.1'), 'delivered');
  });
});
