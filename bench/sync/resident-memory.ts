import { readFile } from 'node:fs/promises';

const KIBIBYTES_PER_MEBIBYTE = 1024;

/** Resident memory of a process, in MiB. */
export async function residentMebibytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error(`no VmRSS in /proc/${pid}/status`);
  return Number(kibibytes) / KIBIBYTES_PER_MEBIBYTE;
}
