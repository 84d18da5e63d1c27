import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classifySamples } from '../../bench/dataplane/perf-samples.ts';

const SCRIPT = `
            1f2a3 ossl_aes_gcm_encrypt_avx512 (/opt/node/bin/node)

            1f2a3 veth_xmit ([kernel.kallsyms])
            2f2a3 raw_sendmsg ([kernel.kallsyms])
            3f2a3 __x64_sys_sendmmsg ([kernel.kallsyms])
            4f2a3 sendmmsg (/usr/lib/x86_64-linux-gnu/libc.so.6)

            1f2a3 tun_do_read ([kernel.kallsyms])
            3f2a3 ksys_read ([kernel.kallsyms])

            1f2a3 checksum_add (/repo/build/native/lagopus_native.node)

            1f2a3 do_epoll_wait ([kernel.kallsyms])
            3f2a3 __x64_sys_epoll_pwait ([kernel.kallsyms])
`;

test('samples are told apart by their system call, else by where they are', () => {
  assert.deepEqual(classifySamples(SCRIPT), {
    'ciphers and digests': 0.2,
    'own code': 0.2,
    'TUN device (read, writev)': 0.2,
    'sockets (sendmmsg, recvmmsg)': 0.2,
    'event loop and the rest': 0.2,
  });
});
