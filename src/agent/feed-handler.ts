import type {
  FeedChange,
  FeedHandler,
  FeedRequest,
  FeedSnapshot,
  RequestResult,
  SetupFailed,
} from '../keyfeed/index.ts';
import {
  formatAlgorithms,
  type IpAddress,
  type PolicyUser,
  type SecurityAssociation,
  saKey,
} from '../sad/index.ts';
import type { SyncAnswer, SyncChange, SyncEngine, SyncRequest } from '../sync/index.ts';
import { AgentError, assertNever, errorMessage, type Logger } from '../util/index.ts';
import { toPolicyUser, toSaId, toSaMove, toSecurityAssociation } from './feed-to-sad.ts';
import type { VrfOf } from './vrf-rules.ts';

export type FeedHandlerOptions = {
  readonly engine: Pick<SyncEngine, 'replaceDesired' | 'handle' | 'change' | 'setupFailed'>;
  readonly charonInstanceId: string;
  /** On the clock's scale; undefined when charon does not tell. */
  readonly charonStartedMs: number | undefined;
  readonly vrfOf: VrfOf;
  /** Whether the dataplane answers now; throws when it does not. */
  readonly probe: () => Promise<void>;
  /** The engine has the snapshot. */
  readonly onSnapshot: () => void;
  readonly logger: Logger;
};

function toResult(answer: SyncAnswer, algorithms: string | undefined): RequestResult {
  if (answer.kind === 'ok') return { kind: 'ok', spi: answer.spi };
  // A dataplane knows an algorithm it does not have by number only.
  const isNameless = answer.code === 'unsupported-algorithm' && algorithms !== undefined;
  const reason = isNameless ? `${algorithms}: ${answer.reason}` : answer.reason;
  return { kind: answer.kind, reason: `${answer.code}: ${reason}` };
}

/** Every one but `probe`. */
function toSyncRequest(request: Exclude<FeedRequest, { kind: 'probe' }>, vrfOf: VrfOf): SyncRequest {
  switch (request.kind) {
    case 'get-spi': {
      const address = (host: { readonly address: IpAddress }): IpAddress => host.address;
      return {
        kind: 'reserve-spi',
        protocol: request.protocol,
        source: address(request.source),
        destination: address(request.destination),
      };
    }
    case 'add-sa':
      return { kind: 'add-sa', sa: toSecurityAssociation(request.sa, vrfOf) };
    case 'update-sa':
      return { kind: 'update-sa', id: toSaId(request.id), move: toSaMove(request) };
    case 'add-policy':
      return { kind: 'add-policy', user: toPolicyUser(request.policy, vrfOf) };
    default:
      return assertNever(request, 'request');
  }
}

function toSyncChange(change: FeedChange, vrfOf: VrfOf): SyncChange {
  switch (change.kind) {
    case 'add-policy':
      return { kind: 'add-policy', user: toPolicyUser(change.policy, vrfOf) };
    case 'del-sa':
      return { kind: 'delete-sa', id: toSaId(change.id) };
    case 'del-policy':
      return { kind: 'delete-policy', user: toPolicyUser(change.policy, vrfOf) };
    case 'flush-sas':
    case 'flush-policies':
      return { kind: change.kind };
    case 'add-sa':
      // The plugin has no SA that nobody answered for.
      throw new AgentError('an SA was announced that does not await an answer', { code: 'malformed' });
    default:
      return assertNever(change, 'change');
  }
}

/** Translates what charon's plugin says into the engine's terms; nothing waits here. */
export function createFeedHandler(options: FeedHandlerOptions): FeedHandler {
  const { engine, charonInstanceId, charonStartedMs, vrfOf, probe, onSnapshot, logger } = options;

  const answerProbe = async (): Promise<RequestResult> => {
    try {
      await probe();
      return { kind: 'ok' };
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      return { kind: 'try-again', reason: error.message };
    }
  };

  return {
    onSnapshot(snapshot: FeedSnapshot): void {
      engine.replaceDesired(
        {
          sas: snapshot.sas.map((sa) => toSecurityAssociation(sa, vrfOf)),
          policyUsers: snapshot.policies.map((policy) => toPolicyUser(policy, vrfOf)),
        },
        charonInstanceId,
        charonStartedMs,
      );
      logger.info(
        { sas: snapshot.sas.length, policies: snapshot.policies.length, charonInstanceId },
        'snapshot of charon received',
      );
      onSnapshot();
    },

    onChange(change: FeedChange): void {
      let translated: SyncChange;
      try {
        logger.debug({ change: describe(change) }, 'charon changed');
        translated = toSyncChange(change, vrfOf);
      } catch (error) {
        if (error instanceof AgentError && error.code === 'malformed') throw error;
        // What cannot be expressed was refused when it was asked for: there is nothing to follow.
        logger.warn({ change: change.kind, reason: errorMessage(error) }, 'change ignored');
        return;
      }
      engine.change(translated);
    },

    onSetupFailed({ ike, child, code, reason }: SetupFailed): void {
      engine.setupFailed({ ike, child }, { isPassing: code !== 'refused', reason });
    },

    onRequest(request: FeedRequest): RequestResult | Promise<RequestResult> {
      if (request.kind === 'probe') return answerProbe();
      let translated: SyncRequest;
      try {
        translated = toSyncRequest(request, vrfOf);
      } catch (error) {
        // Charon asked for something that cannot be expressed: its own request fails, nothing else.
        const reason = errorMessage(error);
        logger.warn({ request: request.kind, reason }, 'request refused');
        return { kind: 'refused', reason };
      }
      logger.debug({ request: describeRequest(translated) }, 'charon asks');
      const algorithms = translated.kind === 'add-sa' ? formatAlgorithms(translated.sa) : undefined;
      return engine.handle(translated).then((answer) => toResult(answer, algorithms));
    },
  };
}

function describe(change: FeedChange): string {
  switch (change.kind) {
    case 'del-sa':
      return `delete ${saKey(toSaId(change.id))}`;
    case 'add-policy':
    case 'del-policy':
      return `${change.kind} ${change.policy.direction} ${change.policy.type}`;
    default:
      return change.kind;
  }
}

function describeSa(sa: SecurityAssociation): string {
  return `add ${saKey(sa.id)}`;
}

function describeUser(user: PolicyUser): string {
  return `add ${user.id.direction} policy (${user.action.kind})`;
}

function describeRequest(request: SyncRequest): string {
  switch (request.kind) {
    case 'reserve-spi':
      return 'reserve an SPI';
    case 'add-sa':
      return describeSa(request.sa);
    case 'update-sa':
      return `update ${saKey(request.id)}`;
    case 'add-policy':
      return describeUser(request.user);
    default:
      return assertNever(request, 'request');
  }
}
