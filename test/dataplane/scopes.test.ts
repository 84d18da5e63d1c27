import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { noScope, parseMark, Scopes } from '../../src/dataplane/scopes.ts';

const mark = { value: 0x10, mask: 0xf0 };

const scopes = new Scopes([
  { name: 'ipsec0', scope: noScope },
  { name: 'ipsec5', scope: { ...noScope, ifId: 5 } },
  { name: 'marked', scope: { ...noScope, mark } },
  { name: 'both', scope: { ...noScope, ifId: 6, mark } },
  { name: 'blue0', scope: { ...noScope, vrf: 'blue' } },
  { name: 'blue5', scope: { ...noScope, vrf: 'blue', ifId: 5 } },
]);

function nameOf(scope: Partial<typeof noScope>): string {
  return scopes.nameOf(scopes.deviceOf({ ...noScope, ...scope }));
}

describe('scopes', () => {
  it('are served by exactly their device outside a VRF', () => {
    assert.deepEqual([{}, { ifId: 5 }, { mark }, { ifId: 6, mark }].map(nameOf), [
      'ipsec0',
      'ipsec5',
      'marked',
      'both',
    ]);
    for (const scope of [{ ifId: 6 }, { ifId: 5, mark }, { mark: { value: 0x10, mask: 0xff } }]) {
      assert.throws(() => nameOf(scope), /no TUN device/);
    }
  });

  it('are served by the closest device in a VRF', () => {
    assert.deepEqual(
      [{ ifId: 5 }, { ifId: 5, mark }, { ifId: 7 }, { mark }, {}].map((scope) =>
        nameOf({ ...scope, vrf: 'blue' }),
      ),
      ['blue5', 'blue5', 'blue0', 'blue0', 'blue0'],
    );
    assert.throws(() => nameOf({ vrf: 'red' }), /FEATURE_VRF: .*vrf: red/);
    assert.deepEqual(scopes.vrfs, ['blue']);
  });

  it('do not mistake a name for another scope', () => {
    assert.throws(() => nameOf({ vrf: 'blue, if_id 5' }), /no TUN device/);
  });

  it('say what to configure', () => {
    assert.throws(
      () => nameOf({ ifId: 9, mark }),
      /FEATURE_IF_ID: .*tunDevices: \[\{ name: NAME, ifId: 9, mark: \{ value: 0x10, mask: 0xf0 \} \}\]/,
    );
  });

  it('have no mark where none is set, and none outside its mask', () => {
    assert.equal(parseMark({ value: 1, mask: 0 }), undefined);
    assert.deepEqual(parseMark({ value: 0x11, mask: 0xf0 }), mark);
  });
});
