import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { vswConfigSchema } from '../../src/vsw/index.ts';

function problem(config: unknown): string {
  const { error } = vswConfigSchema.safeParse(config);
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
}

describe('the vsw driver’s configuration', () => {
  it('needs the VRFs, and nothing else', () => {
    const config = vswConfigSchema.parse({ vrfs: ['vrf1'] });
    assert.equal(config.via, 'relay');
    assert.equal(config.pfkeySocket, '/var/tmp/lagopus-VRF.sock');
    assert.match(problem({}), /vrfs/);
    assert.match(problem({ vrfs: [] }), /vrfs: expected the VRFs that carry tunnels/);
  });

  it('says which key is wrong and what was expected', () => {
    const vrfs = ['vrf1'];
    assert.match(problem({ vrfs: ['blue'] }), /vrfs\.0: expected a name as vsw takes it: vrf and a number/);
    assert.match(problem({ vrfs: ['vrf1', 'vrf1'] }), /vrfs\.1: vrf1 is there twice/);
    assert.match(problem({ vrfs, relay: { listen: 'nowhere' } }), /relay\.listen: expected host:port/);
    assert.match(problem({ vrfs, pfkeySocket: '/var/tmp/a.sock' }), /pfkeySocket: expected VRF in it/);
    assert.match(problem({ vrfs, unknown: 1 }), /unknown/);
    const both = { openconfigd: '127.0.0.1:2650', routerFile: '/etc/router.conf' };
    assert.match(problem({ vrfs, relay: both }), /relay: expected openconfigd or routerFile, not both/);
    assert.match(problem({ vrfs, listen: 'tcp://127.0.0.1:1' }), /tls: .*insecure/);
  });
});
