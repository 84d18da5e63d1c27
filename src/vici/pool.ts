import { FieldReader } from './field-reader.ts';
import type { ViciSection } from './section.ts';

export type PoolLease = {
  readonly address: string;
  readonly identity: string;
  readonly isOnline: boolean;
};

/** A pool of virtual addresses. */
export type LoadedPool = {
  readonly name: string;
  /** Its first address. */
  readonly base: string;
  readonly size: number;
  readonly online: number;
  readonly offline: number;
  /** Empty unless they were asked for. */
  readonly leases: readonly PoolLease[];
};

/** Parses the reply to get-pools; throws AgentError `malformed`. */
export function parsePools(reply: ViciSection): readonly LoadedPool[] {
  return [...reply.sections()].map(({ name, section }) => {
    const fields = new FieldReader(section, `pool ${name}`);
    return {
      name,
      base: fields.text('base'),
      size: fields.number('size'),
      online: fields.number('online'),
      offline: fields.number('offline'),
      leases: [...(section.section('leases')?.sections() ?? [])].map((lease) =>
        parseLease(lease.section, `lease ${lease.name} of pool ${name}`),
      ),
    };
  });
}

function parseLease(section: ViciSection, what: string): PoolLease {
  const fields = new FieldReader(section, what);
  return {
    address: fields.text('address'),
    identity: fields.text('identity'),
    isOnline: fields.text('status') === 'online',
  };
}
