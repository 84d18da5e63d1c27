import assert from 'node:assert/strict';
import { test } from 'node:test';
import { vswConfigSchema } from '../../src/vsw/config.ts';
import { parseRouterFile } from '../../src/vsw/relay/index.ts';
import { driverSettings, routerLines, vswConf } from './configuration.ts';

const PATHS = {
  listen: 'unix:///lab/vsw.sock',
  pfkeyDir: '/lab/var-tmp',
  journal: '/lab/journal.json',
  statusSocket: '/lab/status.sock',
  routerFile: '/lab/router.conf',
};

test('vsw.conf names ports, crypto device, cores and the driver', () => {
  const text = vswConf({ pmdPath: '/opt/dpdk/lib', vdevs: ['crypto_aesni_mb', 'x'], cores: [2, 5] });
  const ports = '"net_af_packet0,iface=outer","net_af_packet1,iface=inner"';
  for (const line of [
    'core_list = "2,5"',
    'pmd_path = "/opt/dpdk/lib"',
    `vdevs = ["crypto_aesni_mb","x",${ports}]`,
    'server_port = 2660',
    'inbound_core_mask = 0x4',
    'outbound_core_mask = 0x20',
    'rx_core = 5',
  ]) {
    assert(text.split('\n').includes(line), line);
  }
});

test('without --pmd-path vsw.conf has none', () => {
  assert.doesNotMatch(vswConf({ pmdPath: undefined, vdevs: [], cores: [0, 1] }), /pmd_path/);
});

test('the driver can read the router’s configuration', () => {
  const paths = parseRouterFile(routerLines());
  assert(paths.length > 30, String(paths.length));
  assert.match(routerLines(), /tunnel config security ipsec$/m);
});

test('the driver takes its settings: a router file, or an openconfigd forwarded to its loopback', () => {
  const file = { via: 'relay', openconfigd: undefined, messages: undefined } as const;
  const withFile = vswConfigSchema.parse(driverSettings(PATHS, file));
  assert.equal(withFile.relay?.routerFile, '/lab/router.conf');
  assert.equal(withFile.pfkeySocket, '/lab/var-tmp/lagopus-VRF.sock');
  const served = { via: 'pfkey', openconfigd: 'far.test:2651', messages: '0.8.3' } as const;
  const { relay, via } = vswConfigSchema.parse(driverSettings(PATHS, served));
  assert.equal(via, 'pfkey');
  assert.equal(relay?.openconfigd, '127.0.0.1:2650');
  assert.equal(relay?.messages, '0.8.3');
  assert.equal(relay?.routerFile, undefined);
});
