import { Command } from 'commander';
import { askAgent, type StatusReport } from '../agent/index.ts';
import { AgentError, systemClock } from '../util/index.ts';
import { type AskOptions, print, printJson, withAskOptions } from './options.ts';

const POLL_INTERVAL_MS = 100;

function describeWait(status: StatusReport): string {
  const links = { plugin: status.plugin, dataplane: status.dataplane };
  const waiting = Object.entries(links).filter(([, link]) => link?.state !== 'connected');
  if (waiting.length === 0) return 'the dataplane is not in sync yet';
  return waiting.map(([name, link]) => `${name}: ${link?.reason ?? 'connecting'}`).join('; ');
}

/** Asks until the agent is ready; the error says what it waited for last. */
async function waitReady(socket: string, timeoutMs: number): Promise<StatusReport> {
  const signal = AbortSignal.timeout(timeoutMs);
  let lastReason = 'no answer';
  while (!signal.aborted) {
    try {
      const status = await askAgent(socket, 'status', { signal });
      if (status.isReady) return status;
      if (status.source === 'vici') {
        throw new AgentError('the agent has `source: vici` and installs nothing: no tunnel waits for it', {
          code: 'unsupported',
        });
      }
      lastReason = describeWait(status);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      if (error.code !== 'deadline') lastReason = error.message;
      if (!error.retryable) throw error;
    }
    await systemClock.sleep(POLL_INTERVAL_MS);
  }
  throw new AgentError(`not ready after ${timeoutMs / 1000} s: ${lastReason}`, { code: 'deadline' });
}

/** `ipsec-agent wait-ready`: runs between charon's start and `swanctl --load-all`. */
export function waitReadyCommand(): Command {
  const command = new Command('wait-ready').description(
    'wait until tunnels can be set up; run it before `swanctl --load-all`',
  );
  return withAskOptions(command, 30).action(async (options: AskOptions) => {
    const status = await waitReady(options.socket, options.timeout);
    if (options.json) return printJson(status);
    print('ready');
  });
}
