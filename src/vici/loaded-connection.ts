import { FieldReader } from './field-reader.ts';
import { onlySection } from './ike-sa.ts';
import { ViciSection } from './section.ts';

/** One round of authentication of one end. */
export type AuthRound = {
  /** public key, pre-shared key, EAP ... */
  readonly class: string | undefined;
  readonly eapType: string | undefined;
  readonly xauth: string | undefined;
  readonly id: string | undefined;
  readonly eapId: string | undefined;
  readonly xauthId: string | undefined;
  readonly aaaId: string | undefined;
  readonly caId: string | undefined;
  readonly revocation: string | undefined;
  readonly groups: readonly string[];
  /** Subjects. */
  readonly certs: readonly string[];
  readonly caCerts: readonly string[];
};

/** A CHILD_SA's configuration. 0 seconds, bytes or packets: no rekeying for that reason. */
export type LoadedChild = {
  readonly name: string;
  /** TUNNEL, TRANSPORT, PASS, DROP ... */
  readonly mode: string | undefined;
  readonly label: string | undefined;
  readonly rekeySeconds: bigint | undefined;
  readonly rekeyBytes: bigint | undefined;
  readonly rekeyPackets: bigint | undefined;
  readonly dpdAction: string | undefined;
  readonly closeAction: string | undefined;
  readonly localTs: readonly string[];
  readonly remoteTs: readonly string[];
  readonly interface: string | undefined;
  readonly priority: number | undefined;
};

/** A connection that charon knows, from wherever it came. */
export type LoadedConnection = {
  readonly name: string;
  /** `%any` among them is any. */
  readonly localAddresses: readonly string[];
  readonly remoteAddresses: readonly string[];
  /** IKEv1, IKEv2 or IKEv1/2. */
  readonly version: string | undefined;
  /** 0: never. */
  readonly reauthSeconds: number | undefined;
  readonly rekeySeconds: number | undefined;
  readonly unique: string | undefined;
  readonly dpdDelaySeconds: number | undefined;
  readonly local: readonly AuthRound[];
  readonly remote: readonly AuthRound[];
  readonly children: readonly LoadedChild[];
  /** All of it, as charon describes it. */
  readonly section: ViciSection;
};

/** Parses a list-conn event; throws AgentError `malformed`. */
export function parseConnection(message: ViciSection): LoadedConnection {
  const { name, section } = onlySection(message, 'list-conn');
  const fields = new FieldReader(section, `connection ${name}`);
  const children = section.section('children') ?? new ViciSection();
  const rounds = (side: 'local' | 'remote'): readonly AuthRound[] =>
    [...section.sections()].filter(({ name }) => name.startsWith(`${side}-`)).map(parseAuthRound);
  return {
    name,
    localAddresses: fields.list('local_addrs'),
    remoteAddresses: fields.list('remote_addrs'),
    version: fields.optionalText('version'),
    reauthSeconds: fields.optionalNumber('reauth_time'),
    rekeySeconds: fields.optionalNumber('rekey_time'),
    unique: fields.optionalText('unique'),
    dpdDelaySeconds: fields.optionalNumber('dpd_delay'),
    local: rounds('local'),
    remote: rounds('remote'),
    children: [...children.sections()].map(parseChild),
    section,
  };
}

function parseAuthRound({ name, section }: { name: string; section: ViciSection }): AuthRound {
  const fields = new FieldReader(section, `authentication ${name}`);
  return {
    class: fields.optionalText('class'),
    eapType: fields.optionalText('eap-type'),
    xauth: fields.optionalText('xauth'),
    id: fields.optionalText('id'),
    eapId: fields.optionalText('eap_id'),
    xauthId: fields.optionalText('xauth_id'),
    aaaId: fields.optionalText('aaa_id'),
    caId: fields.optionalText('ca_id'),
    revocation: fields.optionalText('revocation'),
    groups: fields.list('groups'),
    certs: fields.list('certs'),
    caCerts: fields.list('cacerts'),
  };
}

function parseChild({ name, section }: { name: string; section: ViciSection }): LoadedChild {
  const fields = new FieldReader(section, `child ${name}`);
  return {
    name,
    mode: fields.optionalText('mode'),
    label: fields.optionalText('label'),
    rekeySeconds: fields.optionalCounter('rekey_time'),
    rekeyBytes: fields.optionalCounter('rekey_bytes'),
    rekeyPackets: fields.optionalCounter('rekey_packets'),
    dpdAction: fields.optionalText('dpd_action'),
    closeAction: fields.optionalText('close_action'),
    localTs: fields.list('local-ts'),
    remoteTs: fields.list('remote-ts'),
    interface: fields.optionalText('interface'),
    priority: fields.optionalNumber('priority'),
  };
}
