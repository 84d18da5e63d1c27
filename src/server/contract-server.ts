import { resolve } from 'node:path';
import { Server } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { IpsecServiceServer } from '../proto/index.ts';
import { serviceDefinition } from './contract-service.ts';

const SERVICE = 'lagopus.ipsec.v1.IpsecService';
const PROTO_DIR = resolve(import.meta.dirname, '../../proto');
const PROTO_FILE = 'lagopus/ipsec/v1/ipsec.proto';
const SHUTDOWN_MS = 1_000;

/** A gRPC server of the contract with health checks and reflection, not listening yet. */
export class ContractServer {
  readonly grpc = new Server();
  readonly #health = new HealthImplementation({ '': 'SERVING', [SERVICE]: 'SERVING' });

  constructor(service: IpsecServiceServer) {
    this.grpc.addService(serviceDefinition, service);
    this.#health.addToServer(this.grpc);
    new ReflectionService(loadSync(PROTO_FILE, { includeDirs: [PROTO_DIR] })).addToServer(this.grpc);
  }

  /** Lets calls under way finish, for a moment. */
  async close(): Promise<void> {
    this.#health.setStatus('', 'NOT_SERVING');
    this.#health.setStatus(SERVICE, 'NOT_SERVING');
    await new Promise<void>((done) => {
      const timer = setTimeout(() => this.grpc.forceShutdown(), SHUTDOWN_MS);
      this.grpc.tryShutdown(() => {
        clearTimeout(timer);
        done();
      });
    });
  }
}
