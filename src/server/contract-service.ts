import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerDuplexStream,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js';
import {
  ApplyRequest,
  type ApplyResponse,
  ApplyStreamRequest,
  type ApplyStreamResponse,
  type GetCapabilitiesResponse,
  type GetStatusResponse,
  type IpsecServiceServer,
  IpsecServiceService,
  type ListPoliciesRequest,
  type ListSasRequest,
  type PolicyState,
  type SaState,
  type WatchEventsRequest,
  type WatchEventsResponse,
} from '../proto/index.ts';
import { errorMessage, type Logger } from '../util/index.ts';
import type { EventLog } from './event-log.ts';
import { type Reading, writeListing } from './listing.ts';
import { RequestError } from './request-error.ts';
import type { Revisions } from './revision.ts';
import type { Writers } from './writers.ts';

const MIN_NONCE_BYTES = 16;
const MAX_NONCE_BYTES = 64;

/** What is behind the contract: one boot of it. */
export type ContractBackend = {
  readonly bootId: Buffer;
  readonly capabilities: GetCapabilitiesResponse;
  readonly writers: Pick<Writers, 'acquire' | 'attend' | 'check'>;
  readonly events: Pick<EventLog, 'open'>;
  readonly revisions: Pick<Revisions, 'of'>;
  /**
   * Wipes the request's keys, whatever happens. Calls are begun in the order of requests.
   * @throws RequestError when nothing was applied
   */
  readonly apply: (request: ApplyRequest) => ApplyResponse | Promise<ApplyResponse>;
  readonly listSas: (request: ListSasRequest) => readonly Reading<SaState>[];
  readonly listPolicies: (request: ListPoliciesRequest) => readonly Reading<PolicyState>[];
  /** A writer's first comparison is done. */
  readonly onInSync: () => void;
  readonly status: () => Omit<GetStatusResponse, 'bootId'>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Aborted when streams that never end by themselves have to. */
  readonly stop: AbortSignal;
};

export type ContractServiceOptions = {
  /** @throws RequestError while there is none */
  readonly backend: () => ContractBackend;
  readonly logger: Logger;
};

function statusOf(error: unknown): { readonly code: status; readonly details: string } {
  if (error instanceof RequestError) return { code: error.status, details: error.message };
  return { code: status.INTERNAL, details: errorMessage(error) };
}

/** How grpc-js takes a status for a stream: destroying it would send none. */
function streamError(error: unknown): Error {
  return Object.assign(new Error(errorMessage(error)), statusOf(error));
}

/** Decodes a message with keys in it and wipes the bytes it came in. */
function wiping<Message>(decode: (bytes: Buffer) => Message): (bytes: Buffer) => Message {
  return (bytes) => {
    try {
      return decode(bytes);
    } finally {
      bytes.fill(0);
    }
  };
}

/** The service's definition for a server. */
export const serviceDefinition = {
  ...IpsecServiceService,
  apply: { ...IpsecServiceService.apply, requestDeserialize: wiping(ApplyRequest.decode) },
  applyStream: { ...IpsecServiceService.applyStream, requestDeserialize: wiping(ApplyStreamRequest.decode) },
} as const;

function unary<Request, Response>(
  answer: (request: Request) => Response | Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const fail = (error: unknown): void => callback(statusOf(error));
    try {
      const response = answer(call.request);
      if (response instanceof Promise) response.then((value) => callback(null, value)).catch(fail);
      else callback(null, response);
    } catch (error) {
      fail(error);
    }
  };
}

function serverStream<Request, Response>(
  logger: Logger,
  serve: (call: ServerWritableStream<Request, Response>) => Promise<void>,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    serve(call).catch((error: unknown) => {
      logger.debug({ err: error }, 'stream ended with an error');
      call.emit('error', streamError(error));
    });
  };
}

function refused(error: unknown): ApplyStreamResponse {
  const { code, details } = statusOf(error);
  return { apply: undefined, error: { status: code, message: details } };
}

function answerTo(
  { apply }: ApplyStreamRequest,
  backend: () => ContractBackend,
): ApplyStreamResponse | Promise<ApplyStreamResponse> {
  try {
    if (apply === undefined) throw new RequestError(status.INVALID_ARGUMENT, 'the request is empty');
    const response = backend().apply(apply);
    if (!(response instanceof Promise)) return { apply: response, error: undefined };
    return response.then((value) => ({ apply: value, error: undefined })).catch(refused);
  } catch (error) {
    return refused(error);
  }
}

/** Requests are begun as they come; responses wait for those of earlier requests. */
function applyStream(
  backend: () => ContractBackend,
  call: ServerDuplexStream<ApplyStreamRequest, ApplyStreamResponse>,
): void {
  let waiting = 0;
  let last: Promise<void> = Promise.resolve();
  const write = (response: ApplyStreamResponse): void => {
    if (call.cancelled || call.write(response)) return;
    call.pause();
    call.once('drain', () => call.resume());
  };
  call.on('data', (request: ApplyStreamRequest) => {
    const response = answerTo(request, backend);
    if (waiting === 0 && !(response instanceof Promise)) {
      write(response);
      return;
    }
    waiting += 1;
    last = last.then(async () => {
      const value = await response;
      waiting -= 1;
      write(value);
    });
  });
  const end = (): void => {
    last = last.then(() => void call.end());
  };
  call.on('end', end);
  // The client went away; what it sent is applied all the same.
  call.on('error', end);
}

function watchEvents(
  { events, writers, stop }: ContractBackend,
  call: ServerWritableStream<WatchEventsRequest, WatchEventsResponse>,
): void {
  const cursor = events.open(call.request);
  let isWaiting = false;
  const pump = (): void => {
    while (!isWaiting && !call.cancelled) {
      const event = cursor.next();
      if (event === undefined) return;
      // A slow reader is not buffered for: it reads on from the log, or finds a gap.
      isWaiting = !call.write(event);
    }
  };
  const unwatch = cursor.onMore(pump);
  const leave = writers.attend(call.request.ownerId, call.request.agentId);
  const end = (): void => {
    leave();
    unwatch();
    stop.removeEventListener('abort', end);
    call.end();
  };
  call.on('drain', () => {
    isWaiting = false;
    pump();
  });
  call.on('cancelled', end);
  stop.addEventListener('abort', end);
  pump();
}

/** 0 is no time of a listing. */
function listedAt(now: () => number): bigint {
  return BigInt(Math.floor(now()) + 1);
}

function checkNonce(nonce: Uint8Array): void {
  if (nonce.length === 0 || (nonce.length >= MIN_NONCE_BYTES && nonce.length <= MAX_NONCE_BYTES)) return;
  throw new RequestError(
    status.INVALID_ARGUMENT,
    `fingerprint_nonce: expected ${MIN_NONCE_BYTES} to ${MAX_NONCE_BYTES} bytes or none, got ${nonce.length}`,
  );
}

/** The contract's RPCs, over what is behind it when they come. */
export function createService({ backend, logger }: ContractServiceOptions): IpsecServiceServer {
  const headOf = (current: ContractBackend, ownerId: string) => ({
    revision: current.revisions.of(ownerId),
    bootId: current.bootId,
    listedAtMs: listedAt(current.now),
  });
  return {
    getCapabilities: unary(() => backend().capabilities),
    acquireWriter: unary(({ ownerId, agentId }) => {
      const epoch = backend().writers.acquire(ownerId, agentId);
      logger.info({ owner: ownerId, agent: agentId, epoch: String(epoch) }, 'writer acquired');
      return { epoch };
    }),
    apply: unary((request) => backend().apply(request)),
    applyStream: (call) => applyStream(backend, call),
    listSas: serverStream(logger, async (call) => {
      checkNonce(call.request.fingerprintNonce);
      const current = backend();
      const head = headOf(current, call.request.ownerId);
      const toResponse = (sas: SaState[], complete: boolean) => ({ ...head, sas, complete });
      await writeListing(call, current.listSas(call.request), toResponse);
    }),
    listPolicies: serverStream(logger, async (call) => {
      const current = backend();
      const head = headOf(current, call.request.ownerId);
      const toResponse = (policies: PolicyState[], complete: boolean) => ({ ...head, policies, complete });
      await writeListing(call, current.listPolicies(call.request), toResponse);
    }),
    getRevision: unary(({ ownerId }) => {
      const { bootId, revisions } = backend();
      return { bootId, revision: revisions.of(ownerId) };
    }),
    reportInSync: unary(({ writer }) => {
      const { writers, onInSync } = backend();
      writers.check(writer);
      onInSync();
      return {};
    }),
    getStatus: unary(() => {
      const { bootId, status: read } = backend();
      return { bootId, ...read() };
    }),
    watchEvents: (call) => {
      try {
        watchEvents(backend(), call);
      } catch (error) {
        call.emit('error', streamError(error));
      }
    },
  };
}
