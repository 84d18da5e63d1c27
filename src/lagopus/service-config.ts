import type { ClientOptions } from '@grpc/grpc-js';

const SERVICE = 'lagopus.ipsec.v1.IpsecService';

/** Reads may be asked again; nothing that writes ever is. */
const RETRIED_READS = ['GetCapabilities', 'ListSas', 'ListPolicies'] as const;

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

/** Channel options: how the connection itself is kept and found again. */
export function channelOptions(serverName: string | undefined): ClientOptions {
  return {
    'grpc.service_config': JSON.stringify(SERVICE_CONFIG),
    'grpc.enable_retries': 1,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 1_000,
    // A dead TCP peer is noticed within the sum of both; a unix socket's at once.
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.max_receive_message_length': 16 * 1024 * 1024,
    // Two agents in one process (tests) must not share a connection.
    'grpc.use_local_subchannel_pool': 1,
    ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName }),
  };
}
