import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Direction, Feature, ResultCode, type Sa, type SaId } from '../../../src/proto/index.ts';
import { ContractClient } from '../../dataplane/contract-client.ts';
import {
  addSa,
  deleteSa,
  putPolicy,
  saId,
  samplePolicy,
  sampleSa,
  selector,
} from '../../dataplane/samples.ts';
import { DataplaneProcess, Lab, type NetNamespace } from '../../support/index.ts';

const OURS = '198.18.0.1';
const PEER = '198.18.0.2';
const SPI = 0xc1000000;
const MARK = { value: 0x2a, mask: 0xff };

const TUN_DEVICES = [
  { name: 'if5', ifId: 5, mtu: 1300 },
  { name: 'if6', ifId: 6 },
  { name: 'marked0', mark: MARK },
  { name: 'blue0', vrf: 'blue' },
];

type Scope = Partial<Pick<SaId, 'ifId' | 'mark'>>;

function idOf(direction: Direction, scope: Scope): SaId {
  const destination = direction === Direction.DIRECTION_INBOUND ? OURS : PEER;
  return { ...saId(direction, SPI, destination), ...scope };
}

function saIn(direction: Direction, scope: Scope, overrides: Partial<Sa> = {}): Sa {
  const isInbound = direction === Direction.DIRECTION_INBOUND;
  return sampleSa({
    ...{ direction, spi: SPI, source: isInbound ? PEER : OURS, destination: isInbound ? OURS : PEER },
    overrides: { id: idOf(direction, scope), ...overrides },
  });
}

const { DIRECTION_INBOUND, DIRECTION_OUTBOUND } = Direction;

describe('scopes in the contract', () => {
  let lab: Lab;
  let namespace: NetNamespace;
  let client: ContractClient;

  before(async () => {
    lab = await Lab.create();
    namespace = await lab.namespace('scopes');
    const overrides = { tunDevices: TUN_DEVICES };
    const dataplane = lab.use(await DataplaneProcess.start({ namespace, dir: lab.dir, overrides }));
    client = new ContractClient(dataplane.target);
    await client.acquire();
  });

  after(async () => {
    client[Symbol.dispose]();
    await lab[Symbol.asyncDispose]();
  });

  async function listed(): Promise<readonly (number | undefined)[]> {
    return (await client.sas()).map(({ sa }) => sa?.id?.ifId).sort();
  }

  it('are among what it can do, and their devices are there', async () => {
    const { vrfs, features, routeInterface } = await client.capabilities();
    assert.deepEqual([vrfs, routeInterface], [['blue'], 'ipsec0']);
    for (const feature of ['MARK', 'SET_MARK', 'IF_ID', 'VRF'] as const) {
      assert(features.includes(Feature[`FEATURE_${feature}`]), feature);
    }
    assert.match(await namespace.ip('link', 'show', 'if5'), /mtu 1300 /);
    for (const { name } of TUN_DEVICES) assert.match(await namespace.ip('link', 'show', name), /[<,]UP/);
  });

  it('tell outbound SAs apart, by if_id and mark', async () => {
    const scopes = [{}, { ifId: 5 }, { ifId: 6 }, { mark: MARK }];
    await client.must(...scopes.map((scope) => addSa(saIn(DIRECTION_OUTBOUND, scope))));
    assert.deepEqual(await listed(), [0, 0, 5, 6]);
    await client.must(deleteSa(idOf(DIRECTION_OUTBOUND, { ifId: 5 })));
    assert.deepEqual(await listed(), [0, 0, 6]);
    assert.equal((await client.one(deleteSa(idOf(DIRECTION_OUTBOUND, { ifId: 5 })))).unchanged, true);
    await client.must(...scopes.map((scope) => deleteSa(idOf(DIRECTION_OUTBOUND, scope))));
    assert.deepEqual(await listed(), []);
  });

  it('name an inbound SA, but do not tell two of one SPI apart: packets say nothing of them', async () => {
    await client.must(addSa(saIn(DIRECTION_INBOUND, { ifId: 5 })));
    const other = await client.one(addSa(saIn(DIRECTION_INBOUND, { ifId: 6 })));
    assert.equal(other.code, ResultCode.RESULT_CODE_SPI_COLLISION);
    assert.equal((await client.one(deleteSa(idOf(DIRECTION_INBOUND, { ifId: 6 })))).unchanged, true);
    assert.deepEqual(await listed(), [5]);
    await client.must(deleteSa(idOf(DIRECTION_INBOUND, { ifId: 5 })));
  });

  it('tell policies of one selector apart, which follow only their own SAs', async () => {
    const match = { source: selector('198.19.1.0/24'), destination: selector('198.19.2.0/24') };
    const policyIn = (scope: Scope, options: Partial<Parameters<typeof samplePolicy>[0]> = {}) => {
      const policy = samplePolicy({ ...match, spi: SPI, ...options });
      return { ...policy, id: policy.id && { ...policy.id, ...scope } };
    };
    await client.must(addSa(saIn(DIRECTION_INBOUND, { ifId: 5 })));
    const inbound = { direction: DIRECTION_INBOUND, peer: OURS };
    await client.must(putPolicy(policyIn({ ifId: 5 }, inbound)));
    const elsewhere = await client.one(putPolicy(policyIn({ ifId: 6 }, inbound)));
    assert.equal(elsewhere.code, ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE);
    assert.match(elsewhere.message, /if_id 6 .* come out of if5/);
    const both = [policyIn({ ifId: 5 }), policyIn({ ifId: 6 })];
    await client.must(...both.map(putPolicy));
    assert.equal((await client.policies()).length, 3);
    // In the clear device's scope there is none, in if6's one without its SA: both drop.
    await client.must(addSa(saIn(DIRECTION_OUTBOUND, { ifId: 5 })));
    for (const device of ['ipsec0', 'if6', 'if5']) {
      await namespace.addAddress(device, '198.19.1.1/32');
      await namespace
        .run(['ping', '-q', '-c', '2', '-i', '0.05', '-W', '0.1', '-I', device, '198.19.2.1'])
        .catch(() => undefined);
      const sent = (await client.sas()).find(({ sa }) => sa?.id?.direction === DIRECTION_OUTBOUND);
      assert.equal(sent?.counters?.packets, device === 'if5' ? 2n : 0n, device);
    }
    await client.must(...both.map(({ id }) => ({ deletePolicy: { id } })));
    assert.equal((await client.policies()).length, 1);
  });

  it('are VRFs as well, of which a device serves every if_id', async () => {
    for (const scope of [{}, { ifId: 5 }, { ifId: 7, mark: MARK }]) {
      const sa = saIn(DIRECTION_OUTBOUND, scope, { innerVrf: 'blue' });
      await client.must(deleteSa(sa.id), addSa(sa), deleteSa(sa.id));
    }
    const red = await client.one(addSa(saIn(DIRECTION_OUTBOUND, { ifId: 5 }, { innerVrf: 'red' })));
    assert.match(red.message, /FEATURE_VRF: no TUN device is for VRF red, if_id 5/);
  });
});
