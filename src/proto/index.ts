/**
 * The contract lagopus.ipsec.v1 as TypeScript: messages with their codecs, the service definition for
 * a server and the client.
 *
 * From: proto/ by `npm run gen`. To: lagopus (client side) and dataplane (server side).
 *
 * Invariants: gen/ is generated, checked in and compared with proto/ by `npm run check`; nothing else
 * imports from it.
 */

export type { IpsecServiceServer } from './gen/lagopus/ipsec/v1/ipsec.ts';
export {
  AcquireEvent,
  AcquireWriterRequest,
  AcquireWriterResponse,
  AddSa,
  Algorithm,
  ApplyRequest,
  ApplyResponse,
  ApplyStreamRequest,
  ApplyStreamResponse,
  BootEvent,
  DeletePolicy,
  DeleteSa,
  ExpireEvent,
  ExpiryReason,
  GapEvent,
  GetCapabilitiesRequest,
  GetCapabilitiesResponse,
  GetRevisionRequest,
  GetRevisionResponse,
  IpsecServiceClient,
  IpsecServiceService,
  ListPoliciesRequest,
  ListPoliciesResponse,
  ListSasRequest,
  ListSasResponse,
  Operation,
  OperationResult,
  PeerAddressEvent,
  PutPolicy,
  ReserveSpi,
  ResultCode,
  SequenceOverflowEvent,
  SpiConstraints,
  StreamError,
  UpdateSa,
  WatchEventsRequest,
  WatchEventsResponse,
  Writer,
} from './gen/lagopus/ipsec/v1/ipsec.ts';
export {
  AddressRange,
  Direction,
  DscpCopy,
  Feature,
  IpAddress,
  Lifetime,
  Mark,
  Mode,
  Policy,
  PolicyAction,
  PolicyId,
  PolicyState,
  PortRange,
  Protocol,
  ReplayState,
  Sa,
  SaCounters,
  SaId,
  SaState,
  SaTemplate,
  TrafficSelector,
  UdpEncapsulation,
} from './gen/lagopus/ipsec/v1/types.ts';
