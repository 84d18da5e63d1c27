import { FieldReader } from './field-reader.ts';
import { onlySection } from './ike-sa.ts';
import type { ViciSection } from './section.ts';

/** A trap, drop or bypass policy that charon has installed. */
export type InstalledPolicy = {
  /** The configuration of its CHILD_SA. */
  readonly child: string;
  /** The connection it belongs to. Undefined for one that no connection has. */
  readonly ike: string | undefined;
  /** PASS, DROP, or the mode of the CHILD_SA that it brings up. */
  readonly mode: string;
  readonly label: string | undefined;
  readonly localTs: readonly string[];
  readonly remoteTs: readonly string[];
};

/** Which kinds to list; all when none is named. */
export type PolicyFilter = {
  readonly trap?: boolean | undefined;
  readonly drop?: boolean | undefined;
  readonly pass?: boolean | undefined;
  readonly ike?: string | undefined;
  readonly child?: string | undefined;
};

/** Parses a list-policy event; throws AgentError `malformed`. */
export function parsePolicy(message: ViciSection): InstalledPolicy {
  const { name, section } = onlySection(message, 'list-policy');
  const fields = new FieldReader(section, `policy ${name}`);
  return {
    child: fields.text('child'),
    ike: fields.optionalText('ike'),
    mode: fields.text('mode'),
    label: fields.optionalText('label'),
    localTs: fields.list('local-ts'),
    remoteTs: fields.list('remote-ts'),
  };
}
