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

/** What is read of the reply to `stats`. */
export type DaemonStats = {
  readonly runningSince: string;
  readonly ikeSas: { readonly total: number; readonly halfOpen: number };
  readonly workers: { readonly total: number; readonly idle: number };
  readonly plugins: readonly string[];
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
  const part = (name: string): FieldReader =>
    new FieldReader(reply.section(name) ?? new ViciSection(), `stats: ${name}`);
  const ikeSas = part('ikesas');
  const workers = part('workers');
  return {
    runningSince: part('uptime').text('since'),
    ikeSas: { total: ikeSas.number('total'), halfOpen: ikeSas.number('half-open') },
    workers: { total: workers.number('total'), idle: workers.number('idle') },
    plugins: reply.list('plugins'),
  };
}
