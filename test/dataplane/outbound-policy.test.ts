import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mappedIpv4 } from '../../src/dataplane/address.ts';
import { Algorithms } from '../../src/dataplane/algorithms.ts';
import { createClassifier } from '../../src/dataplane/classifier.ts';
import { FlowAction } from '../../src/dataplane/native.ts';
import { Sad } from '../../src/dataplane/sad.ts';
import { noScope, Scopes } from '../../src/dataplane/scopes.ts';
import { Spd } from '../../src/dataplane/spd.ts';
import { Direction, Mode, type Sa } from '../../src/proto/index.ts';
import { engineLab } from '../native/engine-lab.ts';
import { noMtus, samplePolicy, sampleSa, selector } from './samples.ts';

const author = { owner: 'one', charonInstanceId: new Uint8Array(0) };
const PEER = '198.18.0.2';
const SPI = 0xc0000001;

/** SAD and SPD as a dataplane has them. */
function outboundLab() {
  const { engine } = engineLab();
  const scopes = new Scopes([{ name: 'ipsec0', scope: noScope }]);
  const common = { engine, scopes, hasIpv6: true, now: () => 0 };
  const algorithms = new Algorithms(engine);
  const sad = new Sad({ ...common, algorithms, maxSas: 10, fwmark: 66, encapPort: 4500, mtus: noMtus });
  const spd = new Spd({ ...common, sad, maxPolicies: 10 });
  const classify = createClassifier(sad, spd);
  const [source, destination] = [mappedIpv4(0xc6130101), mappedIpv4(0xc6130201)];
  const actionFor = (): number | undefined => classify(false, 0, 4, source, destination, 17, 1, 2, 0)[0];
  return { sad, spd, actionFor };
}

function outboundSa(overrides: Partial<Sa> = {}): Sa {
  return sampleSa({
    direction: Direction.DIRECTION_OUTBOUND,
    spi: SPI,
    source: '198.18.0.1',
    destination: PEER,
    overrides,
  });
}

describe('outbound policies', () => {
  it('take an SA of the mode they ask for, and no other', () => {
    for (const [mode, action] of [
      [Mode.MODE_TUNNEL, FlowAction.protect],
      [Mode.MODE_TRANSPORT, FlowAction.drop],
    ] as const) {
      const { sad, spd, actionFor } = outboundLab();
      sad.add(outboundSa({ mode }), author);
      const sides = { source: selector('198.19.1.0/24'), destination: selector('198.19.2.0/24') };
      spd.put(samplePolicy({ ...sides, spi: SPI, peer: PEER }), author);
      assert.equal(actionFor(), action);
    }
  });
});

describe('an SA that moved', () => {
  it('is not added a second time where it was: its keys would be used twice', () => {
    const { sad } = outboundLab();
    const sa = outboundSa();
    sad.add(sa, author);
    sad.update(
      {
        id: sa.id,
        newSource: sa.source,
        newDestination: { value: Buffer.of(198, 18, 0, 3) },
        newUdpEncapsulation: undefined,
        newReqid: 0,
      },
      author,
    );
    assert.throws(() => sad.add(sa, author), /moved/);
    // Other keys are another SA.
    assert.equal(sad.add(outboundSa(), author).isUnchanged, false);
  });
});
