import {
  type ControlOutcome,
  filterArguments,
  type MatchOutcome,
  parseControlOutcome,
  parseMatchOutcome,
  type SaFilter,
} from './control.ts';
import { type DaemonStats, type DaemonVersion, parseStats, parseVersion } from './daemon-info.ts';
import type { CallOptions } from './deadline.ts';
import type { ViciArguments } from './encode-message.ts';
import { type IkeSa, onlySection, parseListedIkeSa } from './ike-sa.ts';
import type { ViciSection } from './section.ts';
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

/** IKE_SAs by unique id. Absence from it is no proof, unless it is complete. */
export type SaListing = {
  readonly ikeSas: ReadonlyMap<number, IkeSa>;
  /** As many as charon counted. charon drops an IKE_SA whose message would be too large. */
  readonly isComplete: boolean;
};

/** A loaded connection, as charon describes it. */
export type LoadedConnection = { readonly name: string; readonly section: ViciSection };

/** How to wait for an SA to come up or down. Other commands do not wait for it. */
export type ControlOptions = {
  readonly signal?: AbortSignal | undefined;
  /** charon stops waiting after it; the SA may come up later all the same. */
  readonly timeoutMs?: number | undefined;
  /** False: charon only starts it, and answers at once. */
  readonly wait?: boolean | undefined;
};

/**
 * charon's control interface. Every call takes a signal and has a deadline; every one
 * throws what `ViciSession.request` throws, and AgentError `malformed` for an answer
 * that makes no sense. What charon refuses is an outcome, not an exception.
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

  /**
   * IKE_SAs with their CHILD_SAs, one by one as they come. To find one CHILD_SA fast,
   * name both ids: by the child's alone charon lists every IKE_SA.
   */
  async *listSas(options: ListSasOptions = {}): AsyncGenerator<IkeSa, void, undefined> {
    // Any value at all means yes.
    const noblock = options.noblock === true ? 'yes' : undefined;
    const args = { ...filterArguments(options), noblock };
    for await (const message of this.#session.stream('list-sas', 'list-sa', args, options)) {
      yield parseListedIkeSa(message);
    }
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

  async *listConns(
    options: CallOptions & { readonly ike?: string } = {},
  ): AsyncGenerator<LoadedConnection, void, undefined> {
    for await (const message of this.#session.stream(
      'list-conns',
      'list-conn',
      { ike: options.ike },
      options,
    )) {
      const { name, section } = onlySection(message, 'list-conn');
      yield { name, section };
    }
  }

  /** Starts the rekeying of all SAs that match; it goes on after the answer. */
  async rekey(
    filter: SaFilter & { readonly reauth?: boolean | undefined },
    options?: CallOptions,
  ): Promise<MatchOutcome> {
    const args = { ...filterArguments(filter), reauth: filter.reauth === true ? true : undefined };
    return parseMatchOutcome(await this.#session.request('rekey', args, options), 'rekey');
  }

  /** Brings up a configured CHILD_SA, or an IKE_SA alone. */
  async initiate(
    target: { readonly child?: string | undefined; readonly ike?: string | undefined },
    options: ControlOptions = {},
  ): Promise<ControlOutcome> {
    const { args, call } = controlCall({ child: target.child, ike: target.ike }, options);
    return parseControlOutcome(await this.#session.requestApart('initiate', args, call));
  }

  /** Closes all SAs that match. `force` destroys an IKE_SA whose peer does not answer. */
  async terminate(
    filter: SaFilter & { readonly force?: boolean | undefined },
    options: ControlOptions = {},
  ): Promise<MatchOutcome> {
    const force = filter.force === true ? true : undefined;
    const { args, call } = controlCall({ ...filterArguments(filter), force }, options);
    return parseMatchOutcome(await this.#session.requestApart('terminate', args, call), 'terminate');
  }

  /** Any command that answers with one message. */
  request(command: string, args?: ViciArguments, options?: CallOptions): Promise<ViciSection> {
    return this.#session.request(command, args, options);
  }

  /** Any command that answers with a stream of events. */
  stream(
    command: string,
    event: string,
    args?: ViciArguments,
    options?: CallOptions,
  ): AsyncGenerator<ViciSection, void, undefined> {
    return this.#session.stream(command, event, args, options);
  }

  /** Events from the moment this returns, on a connection of their own. */
  subscribe(events: readonly string[], options?: CallOptions): Promise<ViciSubscription> {
    return this.#session.subscribe(events, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
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
