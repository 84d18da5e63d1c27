import { AgentError, type Logger } from '../../util/index.ts';
import { PfkeyConnection, type PfkeyMessage, type PfkeyRequest } from '../pfkey/index.ts';

const RETRY_MS = 250;

export type PfkeyLinkOptions = {
  readonly vrf: string;
  readonly path: string;
  readonly logger: Logger;
  readonly onUp: () => void;
  readonly onDown: (reason: string) => void;
  readonly onUpcall: (message: PfkeyMessage) => void;
};

/** The PF_KEY socket of one VRF, connected to again and again. */
export class PfkeyLink implements Disposable {
  readonly vrf: string;
  readonly #options: PfkeyLinkOptions;
  #connection: PfkeyConnection | undefined;
  #problem = 'not connected yet';
  #timer: NodeJS.Timeout | undefined;
  #isDisposed = false;

  constructor(options: PfkeyLinkOptions) {
    this.vrf = options.vrf;
    this.#options = options;
    this.#timer = setTimeout(() => this.#connect(), 0);
  }

  get isUp(): boolean {
    return this.#connection !== undefined;
  }

  /** Why it is not up. */
  get problem(): string {
    return this.#problem;
  }

  /** @throws AgentError `unavailable` when it is not up or went away: whether it was done is unknown */
  ask(request: PfkeyRequest): Promise<PfkeyMessage> {
    return this.#required().ask(request);
  }

  /** @throws AgentError as `ask` */
  dump(): Promise<readonly PfkeyMessage[]> {
    return this.#required().dump();
  }

  /**
   * The SPIs of the VRF, asked for beside everything else.
   * @throws AgentError
   */
  async survey(): Promise<readonly number[]> {
    const ignore = (): void => undefined;
    using connection = new PfkeyConnection({ path: this.#options.path, onUpcall: ignore, onEnd: ignore });
    const listed = await connection.dump();
    return listed.flatMap(({ sa, encryptionKey, integrityKey }) => {
      encryptionKey?.wipe();
      integrityKey?.wipe();
      return sa === undefined ? [] : [sa.spi];
    });
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
    this.#connection?.[Symbol.dispose]();
    this.#connection = undefined;
  }

  #required(): PfkeyConnection {
    if (this.#connection !== undefined) return this.#connection;
    throw new AgentError(`PF_KEY of ${this.vrf}: ${this.#problem}`, { code: 'unavailable', retryable: true });
  }

  #connect(): void {
    const { path, vrf, logger, onUp, onUpcall } = this.#options;
    try {
      this.#connection = new PfkeyConnection({
        path,
        onUpcall,
        onEnd: (reason) => this.#end(reason.message),
      });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      if (error.message !== this.#problem) {
        logger.warn({ vrf, reason: error.message }, 'no PF_KEY socket of vsw, will retry');
      }
      this.#problem = error.message;
      this.#retry();
      return;
    }
    logger.info({ vrf, path }, 'PF_KEY connected');
    onUp();
  }

  #end(reason: string): void {
    this.#connection = undefined;
    this.#problem = reason;
    const { vrf, logger, onDown } = this.#options;
    logger.warn({ vrf, reason }, 'PF_KEY lost, will retry');
    onDown(reason);
    this.#retry();
  }

  #retry(): void {
    if (!this.#isDisposed) this.#timer = setTimeout(() => this.#connect(), RETRY_MS);
  }
}
