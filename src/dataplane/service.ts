import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerDuplexStream,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js';
import {
  ApplyRequest,
  ApplyStreamRequest,
  type ApplyStreamResponse,
  type GetCapabilitiesResponse,
  type IpsecServiceServer,
  IpsecServiceService,
  type ListPoliciesRequest,
  type ListPoliciesResponse,
  type ListSasRequest,
  type ListSasResponse,
  type WatchEventsRequest,
  type WatchEventsResponse,
} from '../proto/index.ts';
import { errorMessage, type Logger } from '../util/index.ts';
import type { Applier } from './applier.ts';
import type { EventLog } from './event-log.ts';
import { writeListing } from './listing.ts';
import { RequestError } from './request-error.ts';
import type { Revision } from './revision.ts';
import type { Sad } from './sad.ts';
import type { Spd } from './spd.ts';
import type { Writers } from './writers.ts';

const MIN_NONCE_BYTES = 16;
const MAX_NONCE_BYTES = 64;

export type ServiceOptions = {
  readonly capabilities: GetCapabilitiesResponse;
  readonly bootId: Buffer;
  readonly sad: Sad;
  readonly spd: Spd;
  readonly writers: Writers;
  readonly applier: Applier;
  readonly events: EventLog;
  readonly revision: Revision;
  /** Aborted when streams that never end by themselves have to. */
  readonly stop: AbortSignal;
  readonly logger: Logger;
};

function statusOf(error: unknown): { readonly code: status; readonly details: string } {
  if (error instanceof RequestError) return { code: error.status, details: error.message };
  return { code: status.INTERNAL, details: errorMessage(error) };
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
  answer: (request: Request) => Response,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    let response: Response;
    try {
      response = answer(call.request);
    } catch (error) {
      callback(statusOf(error));
      return;
    }
    callback(null, response);
  };
}

function serverStream<Request, Response>(
  logger: Logger,
  serve: (call: ServerWritableStream<Request, Response>) => Promise<void>,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    serve(call).catch((error: unknown) => {
      logger.debug({ err: error }, 'stream ended with an error');
      // How grpc-js takes a status: destroying the stream would send none.
      call.emit('error', Object.assign(new Error(errorMessage(error)), statusOf(error)));
    });
  };
}

function applyStream(
  applier: Applier,
  call: ServerDuplexStream<ApplyStreamRequest, ApplyStreamResponse>,
): void {
  call.on('data', ({ apply }: ApplyStreamRequest) => {
    let response: ApplyStreamResponse;
    try {
      if (apply === undefined) throw new RequestError(status.INVALID_ARGUMENT, 'the request is empty');
      response = { apply: applier.apply(apply), error: undefined };
    } catch (error) {
      const { code, details } = statusOf(error);
      response = { apply: undefined, error: { status: code, message: details } };
    }
    if (!call.write(response)) {
      call.pause();
      call.once('drain', () => call.resume());
    }
  });
  call.on('end', () => call.end());
  // The client went away; what it sent has been applied.
  call.on('error', () => call.end());
}

function watchEvents(
  { events, writers, stop }: ServiceOptions,
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

async function listSas(
  { sad, revision, bootId }: ServiceOptions,
  call: ServerWritableStream<ListSasRequest, ListSasResponse>,
): Promise<void> {
  const { ownerId, fingerprintNonce: nonce, countersOnly: isCountersOnly } = call.request;
  if (nonce.length !== 0 && (nonce.length < MIN_NONCE_BYTES || nonce.length > MAX_NONCE_BYTES)) {
    throw new RequestError(
      status.INVALID_ARGUMENT,
      `fingerprint_nonce: expected ${MIN_NONCE_BYTES} to ${MAX_NONCE_BYTES} bytes or none, got ${nonce.length}`,
    );
  }
  const at = revision.value;
  await writeListing(
    call,
    sad.list(ownerId),
    (record) => sad.state(record, { nonce, isCountersOnly }),
    (sas, complete) => ({ sas, revision: at, bootId, complete }),
  );
}

async function listPolicies(
  { spd, revision, bootId }: ServiceOptions,
  call: ServerWritableStream<ListPoliciesRequest, ListPoliciesResponse>,
): Promise<void> {
  const at = revision.value;
  await writeListing(
    call,
    spd.list(call.request.ownerId),
    (record) => spd.state(record),
    (policies, complete) => ({ policies, revision: at, bootId, complete }),
  );
}

/** The contract's RPCs over this dataplane's parts. */
export function createService(options: ServiceOptions): IpsecServiceServer {
  const { applier, writers, logger } = options;
  return {
    getCapabilities: unary(() => options.capabilities),
    acquireWriter: unary(({ ownerId, agentId }) => {
      const epoch = writers.acquire(ownerId, agentId);
      logger.info({ owner: ownerId, agent: agentId, epoch: String(epoch) }, 'writer acquired');
      return { epoch };
    }),
    apply: unary((request) => applier.apply(request)),
    applyStream: (call) => applyStream(applier, call),
    listSas: serverStream(logger, (call) => listSas(options, call)),
    listPolicies: serverStream(logger, (call) => listPolicies(options, call)),
    watchEvents: (call) => watchEvents(options, call),
  };
}
