import type { ViciArguments, ViciScalar } from './encode-message.ts';

/*
 * What the load commands take: the keys of swanctl.conf(5). charon wants lists where
 * swanctl.conf has commas, refuses a whole connection for one key it does not know, and
 * takes more keys than are named here.
 */

/** One certificate or public key: PEM or DER. */
export type CredentialData = string | Uint8Array;

type Lists<Key extends string> = { readonly [key in Key]?: readonly string[] | undefined };
type Credentials<Key extends string> = { readonly [key in Key]?: readonly CredentialData[] | undefined };
type Scalars<Key extends string> = { readonly [key in Key]?: ViciScalar | undefined };

/** How one end authenticates: a `local` or `remote` section. */
export type AuthConfig = ViciArguments &
  Lists<'groups' | 'cert_policy'> &
  Credentials<'certs' | 'cacerts' | 'pubkeys'> &
  Scalars<'auth' | 'id' | 'ca_id' | 'aaa_id' | 'eap_id' | 'xauth_id' | 'revocation' | 'round'>;

/** A section below `children`. Times are seconds, or charon's own notation: `1h`. */
export type ChildConfig = ViciArguments &
  Lists<'local_ts' | 'remote_ts' | 'esp_proposals' | 'ah_proposals'> &
  Scalars<
    | 'mode'
    | 'updown'
    | 'policies'
    | 'replay_window'
    | 'rekey_time'
    | 'life_time'
    | 'rand_time'
    | 'rekey_bytes'
    | 'life_bytes'
    | 'rand_bytes'
    | 'rekey_packets'
    | 'life_packets'
    | 'rand_packets'
    | 'dpd_action'
    | 'start_action'
    | 'close_action'
    | 'ipcomp'
    | 'inactivity'
    | 'reqid'
    | 'mark_in'
    | 'mark_out'
    | 'set_mark_in'
    | 'set_mark_out'
    | 'if_id_in'
    | 'if_id_out'
    | 'tfc_padding'
    | 'priority'
    | 'interface'
    | 'hw_offload'
    | 'copy_df'
    | 'copy_ecn'
    | 'copy_dscp'
    | 'label'
  >;

/** What `load-conn` takes. More authentication rounds are `local-2`, `remote-2` and so on. */
export type ConnectionConfig = ViciArguments &
  Lists<'local_addrs' | 'remote_addrs' | 'proposals' | 'vips' | 'pools'> &
  Scalars<
    | 'version'
    | 'aggressive'
    | 'pull'
    | 'encap'
    | 'mobike'
    | 'dpd_delay'
    | 'dpd_timeout'
    | 'fragmentation'
    | 'childless'
    | 'send_certreq'
    | 'send_cert'
    | 'keyingtries'
    | 'unique'
    | 'local_port'
    | 'remote_port'
    | 'reauth_time'
    | 'rekey_time'
    | 'over_time'
    | 'rand_time'
    | 'ppk_id'
    | 'ppk_required'
    | 'if_id_in'
    | 'if_id_out'
  > & {
    readonly local?: AuthConfig | undefined;
    readonly remote?: AuthConfig | undefined;
    readonly children?: { readonly [name: string]: ChildConfig } | undefined;
  };

/** What `load-authority` takes. `cacert` is the certificate itself, `file` a path that charon reads. */
export type AuthorityConfig = ViciArguments &
  Lists<'crl_uris' | 'ocsp_uris'> &
  Scalars<'cacert' | 'file' | 'handle' | 'slot' | 'module' | 'cert_uri_base'>;

/** What `load-pool` takes: a subnet or range, and attributes that go with an address of it. */
export type PoolConfig = ViciArguments & {
  readonly addrs: string;
} & Lists<
    'address' | 'dns' | 'nbns' | 'dhcp' | 'netmask' | 'server' | 'subnet' | 'split_include' | 'split_exclude'
  >;
