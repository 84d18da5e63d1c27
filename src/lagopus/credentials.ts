import { readFile } from 'node:fs/promises';
import { ChannelCredentials, credentials } from '@grpc/grpc-js';
import { AgentError, errorMessage } from '../util/index.ts';

/** Paths of PEM files for mutual TLS. */
export type TlsFiles = {
  /** Who may have signed the dataplane's certificate. */
  readonly ca: string;
  /** Ours. */
  readonly cert: string;
  readonly key: string;
  /** The name in the dataplane's certificate, when the target is an IP address. */
  readonly serverName?: string | undefined;
};

export type DataplaneTarget = {
  /** unix:///path, or host:port. */
  readonly target: string;
  readonly tls?: TlsFiles | undefined;
  /** Allows TCP without TLS: keys cross the network in clear. */
  readonly isInsecure?: boolean | undefined;
};

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new AgentError(`cannot read ${path}: ${errorMessage(error)}`, {
      code: 'invalid-input',
      cause: error,
    });
  }
}

/**
 * @throws AgentError `invalid-input` for TCP without TLS that nobody allowed, or a file
 * that cannot be used
 */
export async function createCredentials(options: DataplaneTarget): Promise<ChannelCredentials> {
  const { target, tls, isInsecure } = options;
  if (tls !== undefined) {
    const [ca, key, cert] = await Promise.all([readPem(tls.ca), readPem(tls.key), readPem(tls.cert)]);
    try {
      return ChannelCredentials.createSsl(ca, key, cert);
    } catch (error) {
      throw new AgentError(`the TLS files of the dataplane cannot be used: ${errorMessage(error)}`, {
        code: 'invalid-input',
        cause: error,
      });
    } finally {
      key.fill(0);
    }
  }
  if (target.startsWith('unix:') || isInsecure === true) return credentials.createInsecure();
  throw new AgentError(
    `${target} is a TCP target without TLS, which would show keys to the network; configure tls, or allow it by insecure: true`,
    { code: 'invalid-input' },
  );
}
