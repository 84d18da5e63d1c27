import { FieldReader } from './field-reader.ts';
import { ViciSection } from './section.ts';

/** The reply to `version`. */
export type DaemonVersion = {
  /** charon-systemd, charon ... */
  readonly daemon: string;
  readonly version: string;
  readonly sysname: string;
  readonly release: string;
  readonly machine: string;
};

/** Of jobs, by their priority. */
export type JobCounts = {
  readonly critical: number;
  readonly high: number;
  readonly medium: number;
  readonly low: number;
};

/** The reply to `stats`. */
export type DaemonStats = {
  /** How long it runs, in words. */
  readonly running: string;
  readonly runningSince: string;
  readonly ikeSas: { readonly total: number; readonly halfOpen: number };
  readonly workers: { readonly total: number; readonly idle: number; readonly active: JobCounts };
  /** Jobs that wait for a worker. */
  readonly queues: JobCounts;
  /** Jobs that wait for their time. */
  readonly scheduled: number;
  readonly plugins: readonly string[];
  /** Of the C library's allocator, in bytes, where it tells. */
  readonly memory: { readonly used: number; readonly free: number } | undefined;
};

export function parseVersion(reply: ViciSection): DaemonVersion {
  const fields = new FieldReader(reply, 'version');
  return {
    daemon: fields.text('daemon'),
    version: fields.text('version'),
    sysname: fields.text('sysname'),
    release: fields.text('release'),
    machine: fields.text('machine'),
  };
}

export function parseStats(reply: ViciSection): DaemonStats {
  const part = (name: string, of = reply): FieldReader =>
    new FieldReader(of.section(name) ?? new ViciSection(), `stats: ${name}`);
  const uptime = part('uptime');
  const ikeSas = part('ikesas');
  const workers = part('workers');
  const memory = reply.section('mallinfo') && part('mallinfo');
  return {
    running: uptime.text('running'),
    runningSince: uptime.text('since'),
    ikeSas: { total: ikeSas.number('total'), halfOpen: ikeSas.number('half-open') },
    workers: {
      total: workers.number('total'),
      idle: workers.number('idle'),
      active: parseJobCounts(part('active', reply.section('workers'))),
    },
    queues: parseJobCounts(part('queues')),
    scheduled: new FieldReader(reply, 'stats').optionalNumber('scheduled') ?? 0,
    plugins: reply.list('plugins'),
    memory: memory && { used: memory.number('used'), free: memory.number('free') },
  };
}

function parseJobCounts(fields: FieldReader): JobCounts {
  const count = (priority: string): number => fields.optionalNumber(priority) ?? 0;
  return {
    critical: count('critical'),
    high: count('high'),
    medium: count('medium'),
    low: count('low'),
  };
}
