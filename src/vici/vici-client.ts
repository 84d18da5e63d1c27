import { type LoadedAlgorithm, parseAlgorithms } from './algorithms.ts';
import { type LoadedAuthority, parseAuthority } from './authority.ts';
import type { AuthorityConfig, ConnectionConfig, PoolConfig } from './configuration.ts';
import {
  type ChildTarget,
  type ControlOutcome,
  type ControlProgress,
  filterArguments,
  type MatchOutcome,
  parseControlOutcome,
  parseMatchOutcome,
  type RedirectFilter,
  type SaFilter,
} from './control.ts';
import { type CounterFilter, type CounterOutcome, parseCounters } from './counters.ts';
import {
  type CertificateFlag,
  type CertificateToLoad,
  type CertificateType,
  type KeyOutcome,
  type ListedCertificate,
  type PrivateKeyToLoad,
  parseCertificate,
  parseKeyOutcome,
  type SharedKeyToLoad,
  type TokenToLoad,
} from './credentials.ts';
import { type DaemonStats, type DaemonVersion, parseStats, parseVersion } from './daemon-info.ts';
import type { CallOptions } from './deadline.ts';
import type { ViciArguments } from './encode-message.ts';
import type { ViciEventName } from './events.ts';
import { type IkeSa, parseListedIkeSa } from './ike-sa.ts';
import { type LoadedConnection, parseConnection } from './loaded-connection.ts';
import { type LogLevel, parseLogMessage } from './log-message.ts';
import { type InstalledPolicy, type PolicyFilter, parsePolicy } from './policy.ts';
import { type LoadedPool, parsePools } from './pool.ts';
import {
  type CompleteListingOptions,
  type CompleteSaListing,
  listCompletely,
  type SaListing,
} from './sa-listing.ts';
import { type IkeSaSummary, SaSummaryReader } from './sa-summary.ts';
import type { ViciSection } from './section.ts';
import type { RawEvent } from './vici-connection.ts';
import { type ViciOptions, ViciSession } from './vici-session.ts';
import type { ViciSubscription } from './vici-subscription.ts';

/** How long after charon's own time-out its answer may still come. */
const ANSWER_GRACE_MS = 5_000;
const DEFAULT_CONTROL_TIMEOUT_MS = 30_000;

export type ListSasOptions = CallOptions &
  SaFilter & {
    /** Leave out IKE_SAs that a worker holds, rather than wait for it. */
    readonly noblock?: boolean | undefined;
  };

/** How to wait for an SA to come up or down. Other commands do not wait for it. */
export type ControlOptions = {
  readonly signal?: AbortSignal | undefined;
  /** charon stops waiting after it; the SA may come up later all the same. */
  readonly timeoutMs?: number | undefined;
  /** False: charon only starts it, and answers at once. */
  readonly wait?: boolean | undefined;
};

/** What to bring up: a configured CHILD_SA, or an IKE_SA alone. */
export type InitiateTarget = {
  readonly child?: string | undefined;
  readonly ike?: string | undefined;
  /** charon's limits on half-open IKE_SAs and jobs may refuse it. */
  readonly initLimits?: boolean | undefined;
};

export type TerminateFilter = SaFilter & {
  /** Destroy an IKE_SA whose peer does not answer. */
  readonly force?: boolean | undefined;
};

/**
 * charon's control interface, a method for every command. Every call takes a signal and
 * has a deadline; every one throws what `ViciSession.request` throws, and AgentError
 * `malformed` for an answer that makes no sense. What charon refuses is an outcome, not
 * an exception. Commands of a stream throw `refused` for it.
 */
export class ViciClient implements AsyncDisposable {
  readonly #session: ViciSession;

  constructor(options: ViciOptions) {
    this.#session = new ViciSession(options);
  }

  async version(options?: CallOptions): Promise<DaemonVersion> {
    return parseVersion(await this.#session.request('version', {}, options));
  }

  async stats(options?: CallOptions): Promise<DaemonStats> {
    return parseStats(await this.#session.request('stats', {}, options));
  }

  /** Reads strongswan.conf again, and has plugins do so. */
  reloadSettings(options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('reload-settings', {}, options);
  }

  // SAs

  /**
   * IKE_SAs with their CHILD_SAs, one by one as they come. To find one CHILD_SA fast,
   * name both ids: by the child's alone charon lists every IKE_SA.
   */
  listSas(options: ListSasOptions = {}): AsyncGenerator<IkeSa, unknown, undefined> {
    return this.#list('list-sas', 'list-sa', listArguments(options), parseListedIkeSa, options);
  }

  /** The same, of each only what a SAD needs: for a loop that looks often. */
  listSaSummaries(options: ListSasOptions = {}): AsyncGenerator<IkeSaSummary, unknown, undefined> {
    const reader = new SaSummaryReader();
    const read = ({ message, offset }: RawEvent): IkeSaSummary => reader.read(message, offset);
    return this.#session.stream('list-sas', 'list-sa', listArguments(options), read, options);
  }

  /** Everything charon has, and whether that is everything. */
  async loadSas(options: CallOptions & { readonly noblock?: boolean } = {}): Promise<SaListing> {
    const before = await this.stats(options);
    const ikeSas = new Map<number, IkeSa>();
    for await (const ike of this.listSas(options)) ikeSas.set(ike.uniqueId, ike);
    const after = await this.stats(options);
    const count = Math.max(before.ikeSas.total, after.ikeSas.total);
    return { ikeSas, isComplete: ikeSas.size >= count };
  }

  /**
   * The same, and what charon dropped for its size is asked for again in parts. The
   * timeout is that of each question; the signal ends it all.
   */
  listSasComplete(options: CompleteListingOptions = {}): Promise<CompleteSaListing> {
    return listCompletely(
      {
        countIkeSas: async () => (await this.stats(options)).ikeSas.total,
        listSas: (filter) => this.listSas({ ...options, ...filter }),
      },
      options,
    );
  }

  /** Brings up a configured CHILD_SA, or an IKE_SA alone. */
  async initiate(target: InitiateTarget, options: ControlOptions = {}): Promise<ControlOutcome> {
    const { args, call } = controlCall(initiateArguments(target), options);
    return parseControlOutcome(await this.#session.requestApart('initiate', args, call));
  }

  /** The same, with what charon logs meanwhile; the outcome comes last. */
  followInitiate(
    target: InitiateTarget,
    options: ControlOptions & { readonly logLevel?: LogLevel | undefined } = {},
  ): AsyncGenerator<ControlProgress<ControlOutcome>, void, undefined> {
    return this.#follow('initiate', initiateArguments(target), options, parseControlOutcome);
  }

  /** Closes all SAs that match. `force` destroys an IKE_SA whose peer does not answer. */
  async terminate(filter: TerminateFilter, options: ControlOptions = {}): Promise<MatchOutcome> {
    const { args, call } = controlCall(terminateArguments(filter), options);
    return parseMatchOutcome(await this.#session.requestApart('terminate', args, call), 'terminate');
  }

  /** The same, with what charon logs meanwhile; the outcome comes last. */
  followTerminate(
    filter: TerminateFilter,
    options: ControlOptions & { readonly logLevel?: LogLevel | undefined } = {},
  ): AsyncGenerator<ControlProgress<MatchOutcome>, void, undefined> {
    return this.#follow('terminate', terminateArguments(filter), options, (reply) =>
      parseMatchOutcome(reply, 'terminate'),
    );
  }

  /** Starts the rekeying of all SAs that match; it goes on after the answer. */
  async rekey(
    filter: SaFilter & { readonly reauth?: boolean | undefined },
    options?: CallOptions,
  ): Promise<MatchOutcome> {
    const args = { ...filterArguments(filter), reauth: filter.reauth === true ? true : undefined };
    return parseMatchOutcome(await this.#session.request('rekey', args, options), 'rekey');
  }

  /** Sends peers of IKEv2 to another gateway (RFC 5685): an address or a name. */
  async redirect(filter: RedirectFilter, gateway: string, options?: CallOptions): Promise<MatchOutcome> {
    const { ike, ikeId, peerIp, peerId } = filter;
    const args = { ike, 'ike-id': ikeId, 'peer-ip': peerIp, 'peer-id': peerId, gateway };
    return parseMatchOutcome(await this.#session.request('redirect', args, options), 'redirect');
  }

  // Policies

  /** Traps, drops and bypasses that are installed. */
  listPolicies(
    options: CallOptions & PolicyFilter = {},
  ): AsyncGenerator<InstalledPolicy, unknown, undefined> {
    const { trap, drop, pass, ike, child } = options;
    const isEvery = trap !== true && drop !== true && pass !== true;
    // Any value at all means yes.
    const flag = (wanted: boolean | undefined): true | undefined =>
      isEvery || wanted === true ? true : undefined;
    const args = { trap: flag(trap), drop: flag(drop), pass: flag(pass), ike, child };
    return this.#list('list-policies', 'list-policy', args, parsePolicy, options);
  }

  /** Installs the trap, drop or bypass policy of a CHILD_SA's configuration. */
  install(target: ChildTarget, options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('install', { child: target.child, ike: target.ike }, options);
  }

  uninstall(target: ChildTarget, options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('uninstall', { child: target.child, ike: target.ike }, options);
  }

  // Connections

  /** Connections from wherever they were loaded. */
  listConns(
    options: CallOptions & { readonly ike?: string | undefined } = {},
  ): AsyncGenerator<LoadedConnection, unknown, undefined> {
    return this.#list('list-conns', 'list-conn', { ike: options.ike }, parseConnection, options);
  }

  /** The names of those that were loaded over VICI. */
  getConns(options?: CallOptions): Promise<readonly string[]> {
    return this.#names('get-conns', 'conns', options);
  }

  /** Loads a connection, in the place of one of that name. SAs that it has stay as they are. */
  loadConn(name: string, config: ConnectionConfig, options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('load-conn', { [name]: config }, options);
  }

  unloadConn(name: string, options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('unload-conn', { name }, options);
  }

  // Credentials

  /** Certificates from wherever they were loaded. */
  listCerts(
    options: CallOptions & {
      readonly type?: CertificateType | undefined;
      readonly flag?: CertificateFlag | undefined;
      readonly subject?: string | undefined;
    } = {},
  ): AsyncGenerator<ListedCertificate, unknown, undefined> {
    const { type, flag, subject } = options;
    return this.#list('list-certs', 'list-cert', { type, flag, subject }, parseCertificate, options);
  }

  loadCert(certificate: CertificateToLoad, options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('load-cert', { ...certificate }, options);
  }

  async loadKey(key: PrivateKeyToLoad, options?: CallOptions): Promise<KeyOutcome> {
    return parseKeyOutcome(await this.#session.request('load-key', { ...key }, options), 'load-key');
  }

  /** `keyId` is what loading it gave. */
  unloadKey(keyId: string, options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('unload-key', { id: keyId }, options);
  }

  /** Ids of the private keys that were loaded over VICI. */
  getKeys(options?: CallOptions): Promise<readonly string[]> {
    return this.#names('get-keys', 'keys', options);
  }

  async loadToken(token: TokenToLoad, options?: CallOptions): Promise<KeyOutcome> {
    return parseKeyOutcome(await this.#session.request('load-token', { ...token }, options), 'load-token');
  }

  loadShared(key: SharedKeyToLoad, options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('load-shared', { ...key }, options);
  }

  /** Succeeds, too, when there is none. */
  unloadShared(id: string, options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('unload-shared', { id }, options);
  }

  /** Ids of the shared keys that were loaded over VICI with one. */
  getShared(options?: CallOptions): Promise<readonly string[]> {
    return this.#names('get-shared', 'keys', options);
  }

  /** Empties the cache of certificates, or of those of a type. */
  flushCerts(
    options: CallOptions & { readonly type?: CertificateType | undefined } = {},
  ): Promise<ControlOutcome> {
    return this.#control('flush-certs', { type: options.type }, options);
  }

  /** Forgets every certificate and key that was loaded over VICI. */
  clearCreds(options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('clear-creds', {}, options);
  }

  listAuthorities(
    options: CallOptions & { readonly name?: string | undefined } = {},
  ): AsyncGenerator<LoadedAuthority, unknown, undefined> {
    return this.#list('list-authorities', 'list-authority', { name: options.name }, parseAuthority, options);
  }

  getAuthorities(options?: CallOptions): Promise<readonly string[]> {
    return this.#names('get-authorities', 'authorities', options);
  }

  loadAuthority(name: string, config: AuthorityConfig, options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('load-authority', { [name]: config }, options);
  }

  unloadAuthority(name: string, options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('unload-authority', { name }, options);
  }

  // Pools, algorithms, counters

  loadPool(name: string, config: PoolConfig, options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('load-pool', { [name]: config }, options);
  }

  /** Fails while an address of it is in use. */
  unloadPool(name: string, options?: CallOptions): Promise<ControlOutcome> {
    return this.#control('unload-pool', { name }, options);
  }

  async getPools(
    options: CallOptions & {
      readonly name?: string | undefined;
      readonly leases?: boolean | undefined;
    } = {},
  ): Promise<readonly LoadedPool[]> {
    const args = { name: options.name, leases: options.leases };
    return parsePools(await this.#session.request('get-pools', args, options));
  }

  async getAlgorithms(options?: CallOptions): Promise<readonly LoadedAlgorithm[]> {
    return parseAlgorithms(await this.#session.request('get-algorithms', {}, options));
  }

  async getCounters(options: CallOptions & CounterFilter = {}): Promise<CounterOutcome> {
    const args = { name: options.name, all: options.all };
    return parseCounters(await this.#session.request('get-counters', args, options));
  }

  resetCounters(options: CallOptions & CounterFilter = {}): Promise<ControlOutcome> {
    return this.#control('reset-counters', { name: options.name, all: options.all }, options);
  }

  // Anything

  /** Any command that answers with one message. */
  request(command: string, args?: ViciArguments, options?: CallOptions): Promise<ViciSection> {
    return this.#session.request(command, args, options);
  }

  /** Any command that answers with a stream of events; the generator's result is the reply. */
  stream(
    command: string,
    event: string,
    args: ViciArguments = {},
    options?: CallOptions,
  ): AsyncGenerator<ViciSection, ViciSection, undefined> {
    return this.#session.stream(command, event, args, (raw) => raw.decode(), options);
  }

  /** Events from the moment this returns, on a connection that commands do not use. */
  subscribe(
    events: readonly (ViciEventName | (string & Record<never, never>))[],
    options?: CallOptions,
  ): Promise<ViciSubscription> {
    return this.#session.subscribe(events, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }

  async #control(command: string, args: ViciArguments, options?: CallOptions): Promise<ControlOutcome> {
    return parseControlOutcome(await this.#session.request(command, args, options));
  }

  async #names(command: string, list: string, options?: CallOptions): Promise<readonly string[]> {
    return (await this.#session.request(command, {}, options)).list(list);
  }

  #list<T>(
    command: string,
    event: string,
    args: ViciArguments,
    parse: (message: ViciSection) => T,
    options: CallOptions,
  ): AsyncGenerator<T, unknown, undefined> {
    return this.#session.stream(command, event, args, (raw) => parse(raw.decode()), options);
  }

  async *#follow<Outcome>(
    command: string,
    what: ViciArguments,
    options: ControlOptions & { readonly logLevel?: LogLevel | undefined },
    parse: (reply: ViciSection) => Outcome,
  ): AsyncGenerator<ControlProgress<Outcome>, void, undefined> {
    const { args, call } = controlCall({ ...what, loglevel: options.logLevel }, options);
    let outcome: Outcome | undefined;
    yield* this.#session.exchange<ControlProgress<Outcome>>(
      {
        command,
        event: 'control-log',
        args,
        read: (event) => ({ kind: 'log', log: parseLogMessage(event.decode()) }),
        onReply: (reply) => {
          outcome = parse(reply);
        },
      },
      call,
    );
    if (outcome !== undefined) yield outcome;
  }
}

function listArguments(options: ListSasOptions): ViciArguments {
  // Any value at all means yes.
  return { ...filterArguments(options), noblock: options.noblock === true ? true : undefined };
}

function initiateArguments({ child, ike, initLimits }: InitiateTarget): ViciArguments {
  return { child, ike, 'init-limits': initLimits };
}

function terminateArguments(filter: TerminateFilter): ViciArguments {
  return { ...filterArguments(filter), force: filter.force === true ? true : undefined };
}

/** charon's `timeout`: 0 would wait for ever, -1 does not wait. */
function controlCall(
  args: ViciArguments,
  { signal, timeoutMs = DEFAULT_CONTROL_TIMEOUT_MS, wait = true }: ControlOptions,
): { readonly args: ViciArguments; readonly call: CallOptions } {
  return {
    args: { ...args, timeout: wait ? Math.max(1, Math.round(timeoutMs)) : -1 },
    call: { signal, timeoutMs: timeoutMs + ANSWER_GRACE_MS },
  };
}
