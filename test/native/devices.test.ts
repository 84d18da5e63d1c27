import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FlowAction, FragmentPolicy } from '../../src/dataplane/native.ts';
import { gcm128 } from '../dataplane/samples.ts';
import { engineLab, INNER_LEFT, INNER_RIGHT, nativeSa } from './engine-lab.ts';
import { ipv4 } from './esp-reference.ts';

describe('devices', () => {
  it('are part of what the SPD is asked, and of what it is remembered for', () => {
    const asked: number[] = [];
    const { engine } = engineLab((isInbound, device) => {
      assert.ok(isInbound);
      asked.push(device);
      return Uint32Array.of(FlowAction.pass, 0, 0);
    });
    const sa = nativeSa(gcm128);
    const outbound = engine.addSa(sa);
    engine.addSa({ ...sa, isInbound: true });
    const inner = ipv4({
      source: INNER_LEFT,
      destination: INNER_RIGHT,
      protocol: 1,
      payload: Buffer.alloc(8),
    });
    for (let packets = 0; packets < 2; packets += 1) {
      const outer = engine.encapsulate(outbound, inner);
      assert.ok(Buffer.isBuffer(outer) && Buffer.isBuffer(engine.decapsulate(outer)));
    }
    assert.deepEqual(asked, [0]);
  });

  it('are there, or an SA is not added', () => {
    const { engine } = engineLab();
    for (const device of [1, 256, -1, 2 ** 32, 0.5]) {
      assert.throws(() => engine.addSa(nativeSa(gcm128, { device })), /device: /, String(device));
    }
    const open = {
      isPersistent: false,
      fwmark: 1,
      udpPort: 4500,
      fragment: FragmentPolicy.before,
      clampMss: true,
      tap: undefined,
    };
    const device = { name: 'lgp0', mtu: 1400 };
    for (const [devices, problem] of [
      [[], /devices: expected 1 to 256/],
      [Array.from({ length: 257 }, () => device), /devices: expected 1 to 256/],
      [[device, { ...device, name: '' }], /name: expected/],
      [[{ ...device, name: 'a name too long for one' }], /name: expected/],
      [[device, { ...device, mtu: 100 }], /mtu: expected/],
    ] as const) {
      assert.throws(() => engine.open({ ...open, devices }), problem);
    }
    for (const tap of ['', 'a name too long for one']) {
      assert.throws(() => engine.open({ ...open, devices: [device], tap }), /tap: expected/);
    }
  });
});
