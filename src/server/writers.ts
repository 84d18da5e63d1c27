import { status } from '@grpc/grpc-js';
import type { Writer } from '../proto/index.ts';
import { RequestError } from './request-error.ts';

const MAX_OWNERS = 64;
const MAX_OWNER_BYTES = 64;
const MAX_INSTANCE_BYTES = 64;
const MAX_AGENT_BYTES = 128;

/** On whose behalf an operation is done. */
export type Author = { readonly owner: string; readonly charonInstanceId: Uint8Array };

function lifeKey(ownerId: string, agentId: string): string {
  return JSON.stringify([ownerId, agentId]);
}

/** Who writes for an owner. */
type Holder = { readonly epoch: bigint; readonly agentId: string };

/**
 * Who may write whose entries: the last one who asked, and nobody before. While an agent that holds the
 * role shows that it is alive, no other one gets it: two of them would undo each other's work.
 */
export class Writers {
  readonly #holders = new Map<string, Holder>();
  /** How many signs of life there are of each agent, by owner and agent. */
  readonly #alive = new Map<string, number>();
  readonly #before: bigint;

  /** `before`: unpredictable, so that an epoch of an earlier boot is no epoch of this one. */
  constructor(before: bigint) {
    this.#before = before;
  }

  /**
   * @param agentId empty takes the role from whoever has it
   * @throws RequestError
   */
  acquire(ownerId: string, agentId: string): bigint {
    const bytes = Buffer.byteLength(ownerId);
    if (bytes === 0 || bytes > MAX_OWNER_BYTES) {
      throw new RequestError(
        status.INVALID_ARGUMENT,
        `owner_id: expected 1 to ${MAX_OWNER_BYTES} bytes, got ${bytes}`,
      );
    }
    if (Buffer.byteLength(agentId) > MAX_AGENT_BYTES) {
      throw new RequestError(status.INVALID_ARGUMENT, `agent_id: at most ${MAX_AGENT_BYTES} bytes`);
    }
    const current = this.#holders.get(ownerId);
    if (current === undefined && this.#holders.size >= MAX_OWNERS) {
      throw new RequestError(status.RESOURCE_EXHAUSTED, `there are ${MAX_OWNERS} owners already`);
    }
    if (current !== undefined && agentId !== '' && agentId !== current.agentId) {
      this.#refuseWhileAlive(ownerId, current);
    }
    const epoch = (current?.epoch ?? this.#before) + 1n;
    this.#holders.set(ownerId, { epoch, agentId });
    return epoch;
  }

  /** An agent shows that it is alive, until the function that is returned is called. */
  attend(ownerId: string, agentId: string): () => void {
    if (agentId === '') return () => undefined;
    const key = lifeKey(ownerId, agentId);
    const count = (change: number): void => {
      const signs = (this.#alive.get(key) ?? 0) + change;
      if (signs === 0) this.#alive.delete(key);
      else this.#alive.set(key, signs);
    };
    count(1);
    let isOver = false;
    return () => {
      if (!isOver) count(-1);
      isOver = true;
    };
  }

  /** @throws RequestError for a writer that was fenced or never was one. */
  check(writer: Writer | undefined): Author {
    if (writer === undefined) throw new RequestError(status.INVALID_ARGUMENT, 'the request has no writer');
    const { ownerId, epoch, charonInstanceId } = writer;
    const current = this.#holders.get(ownerId)?.epoch;
    if (current === undefined) {
      throw new RequestError(
        status.FAILED_PRECONDITION,
        `nobody writes for owner ${JSON.stringify(ownerId)}: AcquireWriter comes first`,
      );
    }
    if (epoch !== current) {
      throw new RequestError(
        status.FAILED_PRECONDITION,
        `epoch ${epoch} of owner ${JSON.stringify(ownerId)} is fenced: another writer has epoch ${current}`,
      );
    }
    if (charonInstanceId.length > MAX_INSTANCE_BYTES) {
      throw new RequestError(
        status.INVALID_ARGUMENT,
        `charon_instance_id: at most ${MAX_INSTANCE_BYTES} bytes`,
      );
    }
    return { owner: ownerId, charonInstanceId };
  }

  #refuseWhileAlive(ownerId: string, { agentId }: Holder): void {
    if (!this.#alive.has(lifeKey(ownerId, agentId))) return;
    throw new RequestError(
      status.ALREADY_EXISTS,
      `agent ${JSON.stringify(agentId)} writes for owner ${JSON.stringify(ownerId)} and is connected: stop it, or give this charon an owner of its own (dataplane.owner)`,
    );
  }
}
