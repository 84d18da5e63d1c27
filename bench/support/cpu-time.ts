import { readFile } from 'node:fs/promises';

/** Clock ticks of /proc, per second, on every Linux that Node runs on (proc(5), USER_HZ). */
const TICKS_PER_SECOND = 100;

/** CPU seconds the processes have used so far, user and system, all threads. */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8')));
  return stats.reduce((sum, stat) => sum + parseCpuSeconds(stat), 0);
}

/** utime and stime of /proc/PID/stat; the second field, the command, may contain anything. */
export function parseCpuSeconds(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // state is field 3, utime 14, stime 15.
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (Number.isNaN(ticks)) throw new Error(`not a /proc/PID/stat: ${stat}`);
  return ticks / TICKS_PER_SECOND;
}
