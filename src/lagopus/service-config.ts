import type { ClientOptions } from '@grpc/grpc-js';

const SERVICE = 'lagopus.ipsec.v1.IpsecService';

/** Reads may be asked again; nothing that writes ever is. */
const RETRIED_READS = ['GetCapabilities', 'GetRevision', 'ListSas', 'ListPolicies'] as const;

const SERVICE_CONFIG = {
  methodConfig: [
    {
      name: RETRIED_READS.map((method) => ({ service: SERVICE, method })),
      retryPolicy: {
        maxAttempts: 3,
        initialBackoff: '0.02s',
        maxBackoff: '0.2s',
        backoffMultiplier: 2,
        retryableStatusCodes: ['UNAVAILABLE'],
      },
    },
  ],
};

/** A TCP peer that vanished is noticed within the sum of both; the event stream is always open. */
const TCP_KEEPALIVE = { 'grpc.keepalive_time_ms': 20_000, 'grpc.keepalive_timeout_ms': 5_000 } as const;

/** Channel options: how the connection itself is kept and found again. */
export function channelOptions(target: string, serverName: string | undefined): ClientOptions {
  return {
    'grpc.service_config': JSON.stringify(SERVICE_CONFIG),
    'grpc.enable_retries': 1,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 250,
    'grpc.max_receive_message_length': 16 * 1024 * 1024,
    // Two agents in one process (tests) must not share a connection.
    'grpc.use_local_subchannel_pool': 1,
    ...(target.startsWith('unix:') ? {} : TCP_KEEPALIVE),
    ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName }),
  };
}
