import { AgentError, errorMessage } from '../../util/index.ts';
import { Errno, MessageType } from './constants.ts';
import { decodeMessage } from './decode.ts';
import { encodeRequest } from './encode.ts';
import type { PfkeyMessage, PfkeyRequest } from './message.ts';
import { connectSeqpacket, type SeqpacketSocket } from './seqpacket.ts';

/** vsw answers in a millisecond or has died; a lock held for a commit of thousands of lines is the exception. */
const ANSWER_MS = 5_000;
const FULL_RETRY_MS = 5;

export type PfkeyConnectionOptions = {
  readonly path: string;
  /** Upcalls of every SA and policy of the VRF, whoever made them. */
  readonly onUpcall: (message: PfkeyMessage) => void;
  /** Once: vsw closed the connection or died, or what it says is no PF_KEY. */
  readonly onEnd: (reason: AgentError) => void;
};

type Turn = {
  readonly request: PfkeyRequest;
  readonly answers: PfkeyMessage[];
  readonly resolve: (answers: readonly PfkeyMessage[]) => void;
  readonly reject: (error: AgentError) => void;
};

const replyTypes: Readonly<Record<PfkeyRequest['kind'], number>> = {
  register: MessageType.register,
  add: MessageType.add,
  delete: MessageType.delete,
  get: MessageType.get,
  dump: MessageType.dump,
  'spd-add': MessageType.spdAdd,
  'spd-update': MessageType.spdUpdate,
  'spd-delete': MessageType.spdDelete,
  'spd-get': MessageType.spdGet,
};

function wipeKeys(message: PfkeyMessage): void {
  message.encryptionKey?.wipe();
  message.integrityKey?.wipe();
}

/** "EEXIST (17)" */
export function errnoName(errno: number): string {
  const name = Object.entries(Errno).find(([, value]) => value === errno)?.[0];
  return name === undefined ? `error ${errno}` : `${name} (${errno})`;
}

/**
 * One connection to the PF_KEY socket of a VRF. Requests go one after the other, as vsw takes them: what it
 * closes the connection on is then the one that waits, and a listing's end is the next answer.
 */
export class PfkeyConnection implements Disposable {
  readonly #options: PfkeyConnectionOptions;
  readonly #socket: SeqpacketSocket;
  readonly #turns: Turn[] = [];
  #sequence = 0;
  #timer: NodeJS.Timeout | undefined;
  #isEnded = false;

  /** @throws AgentError `unavailable` when nobody listens there */
  constructor(options: PfkeyConnectionOptions) {
    this.#options = options;
    this.#socket = connectSeqpacket(options.path, () => this.#read());
  }

  /**
   * Asks, and gives vsw's answer, an errno included. Keys in it are for the caller to wipe.
   * @throws AgentError `unavailable` or `deadline`: whether it was done is unknown
   */
  async ask(request: PfkeyRequest): Promise<PfkeyMessage> {
    const [answer] = await this.#ask(request);
    if (answer === undefined) throw new AgentError('PF_KEY: no answer', { code: 'malformed' });
    return answer;
  }

  /** Every SA of the VRF. Keys are for the caller to wipe. */
  async dump(): Promise<readonly PfkeyMessage[]> {
    const answers = this.#ask({ kind: 'dump' });
    // An empty SAD is not answered at all: what comes for the next request ends the listing.
    const fence = this.ask({ kind: 'register' });
    const [listing] = await Promise.all([answers, fence]);
    return listing;
  }

  [Symbol.dispose](): void {
    this.#end(new AgentError('the PF_KEY connection was closed', { code: 'aborted' }), { isSilent: true });
  }

  #ask(request: PfkeyRequest): Promise<readonly PfkeyMessage[]> {
    return new Promise((resolve, reject) => {
      if (this.#isEnded) {
        reject(new AgentError('the PF_KEY connection has ended', { code: 'unavailable', retryable: true }));
        return;
      }
      this.#turns.push({ request, answers: [], resolve, reject });
      if (this.#turns.length === 1) this.#begin();
    });
  }

  /** Sends the first in line; a dump and its fence together. */
  #begin(): void {
    const [turn] = this.#turns;
    clearTimeout(this.#timer);
    if (turn === undefined) return;
    this.#timer = setTimeout(() => {
      const what = `vsw does not answer PF_KEY ${turn.request.kind}`;
      this.#end(new AgentError(`${what} within ${ANSWER_MS} ms`, { code: 'deadline', retryable: true }));
    }, ANSWER_MS);
    this.#sequence = (this.#sequence % 0x7fffffff) + 1;
    this.#send(turn, this.#sequence);
    if (turn.request.kind === 'dump') this.#finish();
  }

  #send(turn: Turn, sequence: number): void {
    let bytes: Buffer;
    try {
      bytes = encodeRequest(turn.request, sequence, process.pid);
    } catch (cause) {
      // Its keys were wiped while it waited: nobody wants it any more, and others behind it do.
      this.#turns.splice(this.#turns.indexOf(turn), 1);
      turn.reject(
        new AgentError(`PF_KEY ${turn.request.kind}: ${errorMessage(cause)}`, { code: 'aborted', cause }),
      );
      this.#begin();
      return;
    }
    try {
      if (this.#socket.send(bytes)) return;
      setTimeout(() => {
        if (!this.#isEnded) this.#send(turn, sequence);
      }, FULL_RETRY_MS);
    } catch (cause) {
      this.#end(
        new AgentError(`PF_KEY: ${errorMessage(cause)}`, { code: 'unavailable', retryable: true, cause }),
      );
    } finally {
      bytes.fill(0);
    }
  }

  /** The first in line has all it will get; a dump's answers still come, before those of the next. */
  #finish(): void {
    const turn = this.#turns.shift();
    if (turn !== undefined) this.#open = turn;
    this.#begin();
  }

  #open: Turn | undefined;

  #read(): void {
    try {
      while (!this.#isEnded) {
        const bytes = this.#socket.receive();
        if (bytes === undefined) return;
        if (bytes === null) {
          const why = 'vsw closed the PF_KEY connection or ended';
          this.#end(new AgentError(why, { code: 'unavailable', retryable: true }));
          return;
        }
        this.#take(decodeMessage(bytes));
      }
    } catch (error) {
      this.#end(
        error instanceof AgentError
          ? error
          : new AgentError(`PF_KEY: ${errorMessage(error)}`, { code: 'internal', cause: error }),
      );
    }
  }

  #take(message: PfkeyMessage): void {
    const { type } = message;
    if (type === MessageType.expire || type === MessageType.acquire) {
      wipeKeys(message);
      this.#options.onUpcall(message);
      return;
    }
    // The last of a dump has sequence 0, so that only the type tells.
    if (type === MessageType.dump && this.#open?.request.kind === 'dump') {
      this.#open.answers.push(message);
      return;
    }
    const [turn] = this.#turns;
    if (turn === undefined || replyTypes[turn.request.kind] !== type || message.sequence !== this.#sequence) {
      wipeKeys(message);
      return;
    }
    this.#turns.shift();
    clearTimeout(this.#timer);
    this.#open?.resolve(this.#open.answers);
    this.#open = undefined;
    turn.resolve([message]);
    this.#begin();
  }

  #end(reason: AgentError, { isSilent = false } = {}): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#socket.close();
    this.#open?.answers.forEach(wipeKeys);
    this.#open?.reject(reason);
    for (const turn of this.#turns.splice(0)) turn.reject(reason);
    if (!isSilent) this.#options.onEnd(reason);
  }
}
