import { AgentError } from '../util/index.ts';
import {
  type ChildSa,
  parseAdditionalKeyExchanges,
  parseAlgorithm,
  parseChildSa,
  type ViciAlgorithm,
} from './child-sa.ts';
import { FieldReader } from './field-reader.ts';
import { ViciSection } from './section.ts';

/** charon's states of an IKE_SA, and any that a newer one has. */
export type IkeState =
  | 'CREATED'
  | 'CONNECTING'
  | 'ESTABLISHED'
  | 'PASSIVE'
  | 'REKEYING'
  | 'REKEYED'
  | 'DELETING'
  | 'DESTROYING'
  | (string & Record<never, never>);

export type IkeEndpoint = { readonly host: string; readonly port: number };

export type IkePeer = IkeEndpoint & { readonly id: string };

export type IkeSa = {
  /** Of its configuration: two IKE_SAs may have the same. */
  readonly name: string;
  /** What identifies it. */
  readonly uniqueId: number;
  readonly version: number;
  readonly state: IkeState;
  readonly local: IkePeer;
  readonly remote: IkePeer;
  /** The identity of EAP or XAuth, when it is another. */
  readonly remoteEapId: string | undefined;
  readonly initiator: boolean;
  /** 16 hex digits. */
  readonly initiatorSpi: string;
  readonly responderSpi: string;
  readonly natLocal: boolean;
  readonly natRemote: boolean;
  /** The peer was made to believe in a NAT, for the sake of UDP encapsulation. */
  readonly natFake: boolean;
  readonly ifIdIn: number | undefined;
  readonly ifIdOut: number | undefined;
  readonly encryption: ViciAlgorithm | undefined;
  readonly integrity: ViciAlgorithm | undefined;
  readonly prf: string | undefined;
  /** The key exchange method. */
  readonly dhGroup: string | undefined;
  /** Further ones of RFC 9370, in order; since 6.0. */
  readonly additionalKeyExchanges: readonly string[];
  /** A post-quantum pre-shared key was used (RFC 8784). */
  readonly ppk: boolean;
  readonly establishedSecondsAgo: number | undefined;
  /** Negative when it is over. */
  readonly rekeyInSeconds: number | undefined;
  readonly reauthInSeconds: number | undefined;
  readonly localVips: readonly string[];
  readonly remoteVips: readonly string[];
  /** IKE tasks that wait, that run here, and that the peer runs. */
  readonly tasks: {
    readonly queued: readonly string[];
    readonly active: readonly string[];
    readonly passive: readonly string[];
  };
  /** By unique id. In an event only the one it is about, or none. */
  readonly children: ReadonlyMap<number, ChildSa>;
};

/** Parses the one IKE_SA of a list-sa event; throws AgentError `malformed`. */
export function parseListedIkeSa(message: ViciSection): IkeSa {
  const { name, section } = onlySection(message, 'list-sa');
  return parseIkeSa(name, section);
}

/** Parses an IKE_SA with the children whose sections are not divided into old and new. */
export function parseIkeSa(name: string, section: ViciSection): IkeSa {
  const fields = new FieldReader(section, () => `IKE_SA ${name} #${section.text('uniqueid')}`);
  const children = new Map<number, ChildSa>();
  for (const child of childSections(section)) {
    if (isRekeyPair(child)) continue;
    const parsed = parseChildSa(child);
    children.set(parsed.uniqueId, parsed);
  }
  return {
    name,
    uniqueId: fields.number('uniqueid'),
    version: fields.number('version'),
    state: fields.text('state'),
    local: parsePeer(fields, 'local'),
    remote: parsePeer(fields, 'remote'),
    remoteEapId: fields.optionalText('remote-eap-id') ?? fields.optionalText('remote-xauth-id'),
    initiator: fields.flag('initiator'),
    initiatorSpi: fields.text('initiator-spi'),
    responderSpi: fields.text('responder-spi'),
    natLocal: fields.flag('nat-local'),
    natRemote: fields.flag('nat-remote'),
    natFake: fields.flag('nat-fake'),
    ifIdIn: fields.optionalHex('if-id-in'),
    ifIdOut: fields.optionalHex('if-id-out'),
    encryption: parseAlgorithm(fields, 'encr'),
    integrity: parseAlgorithm(fields, 'integ'),
    prf: fields.optionalText('prf-alg'),
    dhGroup: fields.optionalText('dh-group'),
    additionalKeyExchanges: parseAdditionalKeyExchanges(fields),
    ppk: fields.flag('ppk'),
    establishedSecondsAgo: fields.optionalNumber('established'),
    rekeyInSeconds: fields.optionalNumber('rekey-time'),
    reauthInSeconds: fields.optionalNumber('reauth-time'),
    localVips: fields.list('local-vips'),
    remoteVips: fields.list('remote-vips'),
    tasks: {
      queued: fields.list('tasks-queued'),
      active: fields.list('tasks-active'),
      passive: fields.list('tasks-passive'),
    },
    children,
  };
}

/** The sections below `child-sas`. */
export function childSections(ike: ViciSection): readonly ViciSection[] {
  const container = ike.section('child-sas') ?? new ViciSection();
  return [...container.sections()].map(({ section }) => section);
}

/** A child-rekey event has `old` and `new` in the place of a CHILD_SA's fields. */
export function isRekeyPair(child: ViciSection): boolean {
  return child.section('old') !== undefined;
}

/** The section of a message that is about one IKE_SA; throws AgentError `malformed`. */
export function onlySection(
  message: ViciSection,
  what: string,
): { readonly name: string; readonly section: ViciSection } {
  const [first, second] = message.sections();
  if (first === undefined || second !== undefined) {
    throw new AgentError(`${what}: expected one section`, { code: 'malformed' });
  }
  return first;
}

/** Reads `<side>-host` and `<side>-port`. */
export function parseEndpoint(fields: FieldReader, side: 'local' | 'remote'): IkeEndpoint {
  return { host: fields.text(`${side}-host`), port: fields.number(`${side}-port`) };
}

function parsePeer(fields: FieldReader, side: 'local' | 'remote'): IkePeer {
  return { ...parseEndpoint(fields, side), id: fields.text(`${side}-id`) };
}
