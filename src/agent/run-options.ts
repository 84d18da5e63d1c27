import type { Logger } from '../util/index.ts';

export type RunAgentOptions = {
  readonly logger: Logger;
  readonly version: string;
  readonly signal: AbortSignal;
};
