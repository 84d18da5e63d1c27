import { readFileSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import type { ViciArguments } from '../../src/vici/index.ts';

/**
 * What a real charon 5.9.8 with 1,000 SAs of its load-tester wrote in answer to
 * list-sas: 1,000 list-sa events, then the reply. Packets with their lengths.
 */
export function recordedListSas(): Uint8Array {
  const path = new URL('../fixtures/vici/list-sas-1k.bin.zst', import.meta.url);
  return zstdDecompressSync(readFileSync(path));
}

export async function collect<T>(stream: AsyncIterable<T>): Promise<readonly T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

export function sampleChild(changes: ViciArguments = {}): ViciArguments {
  return {
    name: 'net',
    uniqueid: '7',
    reqid: '1',
    state: 'INSTALLED',
    mode: 'TUNNEL',
    protocol: 'ESP',
    encap: 'yes',
    'spi-in': 'c0a80001',
    'spi-out': 'c0a80002',
    'encr-alg': 'AES_GCM_16',
    'encr-keysize': '128',
    'bytes-in': '18446744073709551615',
    'packets-in': '3',
    'bytes-out': '84',
    'packets-out': '1',
    'use-out': '4',
    'rekey-time': '-3',
    'life-time': '3600',
    'install-time': '5',
    'local-ts': ['198.19.1.0/24'],
    'remote-ts': ['198.19.2.0/24', '198.19.3.0/24'],
    ...changes,
  };
}

export function sampleIke(changes: ViciArguments = {}): ViciArguments {
  return {
    uniqueid: '3',
    version: '2',
    state: 'ESTABLISHED',
    'local-host': '198.18.0.1',
    'local-port': '4500',
    'local-id': 'left',
    'remote-host': '198.18.0.2',
    'remote-port': '4500',
    'remote-id': 'right',
    initiator: 'yes',
    'initiator-spi': 'c08213b734c81d91',
    'responder-spi': '739d0fd3f8cc0da5',
    'nat-remote': 'yes',
    'encr-alg': 'AES_CBC',
    'encr-keysize': '128',
    established: '12',
    'rekey-time': '13000',
    ...changes,
  };
}
