import { FieldReader } from './field-reader.ts';
import { onlySection } from './ike-sa.ts';
import type { ViciSection } from './section.ts';

/** A certification authority that was loaded over VICI. */
export type LoadedAuthority = {
  readonly name: string;
  /** The subject of its certificate. */
  readonly caCert: string;
  readonly crlUris: readonly string[];
  readonly ocspUris: readonly string[];
  readonly certUriBase: string | undefined;
};

/** Parses a list-authority event; throws AgentError `malformed`. */
export function parseAuthority(message: ViciSection): LoadedAuthority {
  const { name, section } = onlySection(message, 'list-authority');
  const fields = new FieldReader(section, `authority ${name}`);
  return {
    name,
    caCert: fields.text('cacert'),
    crlUris: fields.list('crl_uris'),
    ocspUris: fields.list('ocsp_uris'),
    certUriBase: fields.optionalText('cert_uri_base'),
  };
}
