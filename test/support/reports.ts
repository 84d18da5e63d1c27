import { askAgent, type DiffReport, type SadReport, type StatusReport } from '../../src/agent/index.ts';
import type { Gateway } from './gateway.ts';

/** What `ipsec-agent sad --json` shows, without a process for each look. */
export function sadOf({ agent }: Gateway): Promise<SadReport> {
  return askAgent(agent.controlSocket, 'sad', { signal: AbortSignal.timeout(5_000) });
}

/** What `ipsec-agent status --json` shows. */
export function statusOf({ agent }: Gateway): Promise<StatusReport> {
  return askAgent(agent.controlSocket, 'status', { signal: AbortSignal.timeout(5_000) });
}

/** What `ipsec-agent diff --json` shows. */
export function diffOf({ agent }: Gateway): Promise<DiffReport> {
  return askAgent(agent.controlSocket, 'diff', { signal: AbortSignal.timeout(5_000) });
}
