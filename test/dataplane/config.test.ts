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

  it('does not listen on TCP without mutual TLS unless a person says so', () => {
    const listen = 'tcp://127.0.0.1:5000';
    assert.match(problem({ listen }), /tls: .*insecure/);
    assert.equal(problem({ listen, insecure: true }), '');
    assert.equal(problem({ listen, tls: { ca: '/ca', cert: '/cert', key: '/key' } }), '');
    assert.match(problem({ listen, tls: { ca: 'ca', cert: '/cert', key: '/key' } }), /tls\.ca/);
  });
});
