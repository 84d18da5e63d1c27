import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Change } from '../../../src/vsw/relay/index.ts';
import { TunnelGate } from '../../../src/vsw/relay/tunnel-gate.ts';

function lines(...texts: readonly string[]): readonly Change[] {
  return texts.map((text) => {
    const [verb, ...path] = text.split(' ');
    assert.ok(verb === 'set' || verb === 'delete');
    return { kind: verb, path };
  });
}

const OUTER = 'set interfaces interface if0 config enabled true';
const ENABLED = 'set interfaces interface tif0 config enabled true';
const SUB = 'set interfaces interface tif0 subinterfaces subinterface 0 config enabled true';
const IPSEC = 'set interfaces interface tif0 subinterfaces subinterface 0 tunnel config security ipsec';

describe('the gate of tunnel interfaces', () => {
  it('keeps back that an interface with an IPsec tunnel is enabled, and nothing else', () => {
    const gate = new TunnelGate();
    // In openconfigd's order: what makes it a tunnel comes later in the commit.
    assert.deepEqual(gate.pass(lines(OUTER, ENABLED, SUB, IPSEC)), lines(OUTER, SUB, IPSEC));
    assert.deepEqual(gate.held, ['tif0']);
  });

  it('gives what was kept back when it is opened, and keeps nothing back from then on', () => {
    const gate = new TunnelGate();
    gate.pass(lines(ENABLED, IPSEC));
    assert.deepEqual(gate.open(), lines(ENABLED));
    assert.deepEqual(gate.held, []);
    const later = lines(ENABLED.replaceAll('tif0', 'tif1'), IPSEC.replaceAll('tif0', 'tif1'));
    assert.deepEqual(gate.pass(later), later);
    assert.deepEqual(gate.open(), []);
  });

  it('keeps back an interface that is enabled in a later commit', () => {
    const gate = new TunnelGate();
    assert.deepEqual(gate.pass(lines(IPSEC)), lines(IPSEC));
    assert.deepEqual(gate.pass(lines(ENABLED)), []);
    assert.deepEqual(gate.held, ['tif0']);
  });

  it('leaves closed what upstream disabled or took away meanwhile', () => {
    for (const change of [
      'set interfaces interface tif0 config enabled false',
      'delete interfaces interface tif0 config enabled true',
      'delete interfaces interface tif0',
      'delete interfaces',
    ]) {
      const gate = new TunnelGate();
      gate.pass(lines(ENABLED, IPSEC));
      assert.deepEqual(gate.pass(lines(change)), lines(change));
      assert.deepEqual(gate.open(), [], change);
    }
  });

  it('passes on an interface of the same name that is no tunnel any more', () => {
    const gate = new TunnelGate();
    gate.pass(lines(ENABLED, IPSEC));
    gate.pass(lines('delete interfaces interface tif0'));
    assert.deepEqual(gate.pass(lines(ENABLED)), lines(ENABLED));
  });

  it('knows nothing of what an earlier vsw was told', () => {
    const gate = new TunnelGate();
    gate.pass(lines(ENABLED, IPSEC));
    gate.open();
    gate.close();
    assert.deepEqual(gate.pass(lines(ENABLED, IPSEC)), lines(IPSEC));
  });

  it('leaves tunnels alone that are no IPsec tunnels', () => {
    const gate = new TunnelGate();
    const gre = lines(
      ENABLED,
      'set interfaces interface tif0 subinterfaces subinterface 0 tunnel config encaps-method gre',
      'set interfaces interface tif0 subinterfaces subinterface 0 tunnel config security none',
    );
    assert.deepEqual(gate.pass(gre), gre);
  });
});
