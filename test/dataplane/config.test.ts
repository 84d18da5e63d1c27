import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dataplaneConfigSchema } from '../../src/dataplane/index.ts';

function problem(config: unknown): string {
  const { error } = dataplaneConfigSchema.safeParse(config);
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
}

describe('the dataplane’s configuration', () => {
  it('needs nothing', () => {
    const config = dataplaneConfigSchema.parse({});
    assert.equal(config.listen, 'unix:///run/lagopus-ipsec/dataplane.sock');
    assert.deepEqual(config.tun, { name: 'ipsec0', mtu: 1400, persist: true });
    assert.deepEqual([config.fwmark, config.udpEncapPort], [66, 4500]);
  });

  it('says which key is wrong and what was expected', () => {
    assert.match(problem({ tun: { name: 'a name too long for one' } }), /tun\.name: .*15/);
    assert.match(problem({ tun: { mtu: 100 } }), /tun\.mtu/);
    assert.match(problem({ unknown: 1 }), /unknown/);
    assert.match(problem({ listen: 'unix:relative' }), /listen: expected unix/);
  });

  it('takes further TUN devices, each for a VRF, if_id or mark of its own', () => {
    const { tunDevices } = dataplaneConfigSchema.parse({
      tunDevices: [
        { name: 'blue0', vrf: 'blue' },
        { name: 'ipsec42', ifId: 42, mtu: 1300 },
      ],
    });
    assert.deepEqual(tunDevices, [
      { name: 'blue0', vrf: 'blue', mtu: 1400 },
      { name: 'ipsec42', ifId: 42, mtu: 1300 },
    ]);
    const wrong = (...devices: readonly unknown[]): string => problem({ tunDevices: devices });
    assert.match(wrong({ name: 'a' }), /tunDevices\.0: .*vrf, ifId or mark/);
    assert.match(wrong({ name: 'ipsec0', ifId: 1 }), /ipsec0 is the name of another/);
    assert.match(
      wrong({ name: 'a', mark: { value: 1 } }, { name: 'b', mark: { value: 1, mask: 0xffffffff } }),
      /tunDevices\.1: another device is for mark 0x1\/0xffffffff already/,
    );
    assert.match(wrong({ name: 'a', ifId: 0 }), /tunDevices\.0\.ifId/);
    assert.match(wrong(...Array.from({ length: 256 }, (_, i) => ({ name: `t${i}`, ifId: i + 1 }))), /255/);
  });

  it('has no tap unless one is named, by a name of its own', () => {
    assert.equal(dataplaneConfigSchema.parse({}).tap, undefined);
    assert.equal(dataplaneConfigSchema.parse({ tap: 'ipsectap0' }).tap, 'ipsectap0');
    assert.match(problem({ tap: 'ipsec0' }), /^tap: ipsec0 is the name of a TUN device$/);
    assert.match(problem({ tap: 'if5', tunDevices: [{ name: 'if5', ifId: 5 }] }), /^tap: if5 is the name/);
    assert.match(problem({ tap: 'a name too long for one' }), /^tap: .*15/);
    assert.match(problem({ tap: true }), /^tap: /);
  });

  it('does not listen on TCP without mutual TLS unless a person says so', () => {
    const listen = 'tcp://127.0.0.1:5000';
    assert.match(problem({ listen }), /tls: .*insecure/);
    assert.equal(problem({ listen, insecure: true }), '');
    assert.equal(problem({ listen, tls: { ca: '/ca', cert: '/cert', key: '/key' } }), '');
    assert.match(problem({ listen, tls: { ca: 'ca', cert: '/cert', key: '/key' } }), /tls\.ca/);
  });
});
