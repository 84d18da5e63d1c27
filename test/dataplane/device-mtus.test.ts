import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeviceMtus } from '../../src/dataplane/device-mtus.ts';
import { silentLogger } from '../../src/util/index.ts';

/** Devices 0 and 1 follow, 2 does not. */
function mtuLab() {
  const sizes = new Map<number, number>();
  const set: string[] = [];
  const mtus = new DeviceMtus({
    engine: {
      largestInner: (sa) => sizes.get(sa) ?? 0,
      setMtu: (device, mtu) => {
        if (device === 1) throw new Error('set the MTU: Operation not permitted');
        set.push(`${device}: ${mtu}`);
      },
    },
    logger: silentLogger,
    devices: [0, 1],
  });
  mtus.start();
  return { sizes, set, mtus };
}

test('a device has the size of its smallest tunnel, and another one when that goes', () => {
  const { sizes, set, mtus } = mtuLab();
  for (const [sa, size] of [
    [1, 1446],
    [2, 1446],
    [3, 1398],
    [4, 1422],
  ] as const) {
    sizes.set(sa, size);
    mtus.changed(sa, 0);
  }
  for (const sa of [1, 3, 2, 4]) mtus.removed(sa, 0);
  assert.deepEqual(set, ['0: 1400', '0: 1446', '0: 1398', '0: 1422', '0: 1400']);
});

test('an SA that moves to another path counts with that', () => {
  const { sizes, set, mtus } = mtuLab();
  sizes.set(1, 1446);
  mtus.changed(1, 0);
  sizes.set(1, 1426);
  mtus.changed(1, 0);
  assert.deepEqual(set.slice(1), ['0: 1446', '0: 1426']);
});

test('nothing below what IPv6 needs, above a usual link, or where nothing is known', () => {
  const { sizes, set, mtus } = mtuLab();
  mtus.changed(1, 0);
  sizes.set(2, 8_000);
  mtus.changed(2, 0);
  sizes.set(3, 600);
  mtus.changed(3, 0);
  mtus.changed(4, 2);
  assert.deepEqual(set, ['0: 1400', '0: 1500', '0: 1280']);
});
