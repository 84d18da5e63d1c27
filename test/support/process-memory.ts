import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { command } from './command.ts';
import type { NetNamespace } from './net-namespace.ts';

/** The process of that name in a namespace. */
export async function findProcess(namespace: NetNamespace, name: string): Promise<number> {
  const { stdout } = await command(['ip', 'netns', 'pids', namespace.name]);
  const pid = stdout
    .split('\n')
    .find((line) => line !== '' && readFileSync(`/proc/${line}/comm`, 'utf8').startsWith(name));
  if (pid === undefined) throw new Error(`no ${name} in ${namespace.name}`);
  return Number(pid);
}

/** How often bytes occur in the writable memory of a process. */
export function countInMemory(pid: number, bytes: Buffer): number {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  let count = 0;
  try {
    for (const [, start = '', end = ''] of readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(
      /^([0-9a-f]+)-([0-9a-f]+) rw/gm,
    )) {
      const from = BigInt(`0x${start}`);
      const region = Buffer.alloc(Number(BigInt(`0x${end}`) - from));
      try {
        readSync(memory, region, 0, region.length, from);
      } catch {
        continue; // not all of it can be read
      }
      for (let at = region.indexOf(bytes); at >= 0; at = region.indexOf(bytes, at + 1)) count += 1;
    }
  } finally {
    closeSync(memory);
  }
  return count;
}

/** The resident memory of a process. */
export function residentKib(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  if (kib === undefined) throw new Error(`process ${pid} has no memory`);
  return Number(kib);
}
