import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { connect as connectSocket, type Socket } from 'node:net';

/** A socket to a unix gRPC target. */
export function connectTo(target: string): Socket {
  return connectSocket(target.slice('unix://'.length));
}

/** Speaks gRPC without a client library, so that malformed messages can be sent. */
export class RawGrpc implements Disposable {
  readonly #session: ClientHttp2Session;

  constructor(target: string) {
    this.#session = connect('http://localhost', { createConnection: () => connectTo(target) });
  }

  /** Sends one message and resolves with the first one of the answer; rejects with the status if it is not OK. */
  call(path: string, message: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const stream = this.#session.request({
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: path,
        [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
        [constants.HTTP2_HEADER_TE]: 'trailers',
      });
      const chunks: Buffer[] = [];
      let status: unknown;
      const note = (headers: Readonly<Record<string, unknown>>): void => {
        status = headers['grpc-status'] ?? status;
      };
      stream.on('response', note);
      stream.on('trailers', note);
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('end', () => {
        if (String(status) !== '0') reject(new Error(`grpc-status ${status}`));
        else resolve(Buffer.concat(chunks).subarray(5));
      });
      const header = Buffer.alloc(5);
      header.writeUInt32BE(message.length, 1);
      stream.end(Buffer.concat([header, message]));
    });
  }

  [Symbol.dispose](): void {
    this.#session.close();
  }
}
