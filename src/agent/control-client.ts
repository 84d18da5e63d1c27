import { request } from 'node:http';
import { AgentError } from '../util/index.ts';
import type { DiffReport, ExplainReport, PlanReport, SadReport, StatusReport } from './reports.ts';

type Reports = {
  readonly status: StatusReport;
  readonly sad: SadReport;
  readonly diff: DiffReport;
  readonly plan: PlanReport;
  readonly explain: ExplainReport;
};

function describeFailure(path: string, error: NodeJS.ErrnoException): AgentError {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: `no agent: ${path} does not exist; start \`ipsec-agent run\`, or name its socket with --socket`,
    ECONNREFUSED: `no agent answers on ${path}; start \`ipsec-agent run\``,
    EACCES: `may not open ${path}: run as root or in the socket's group`,
  };
  return new AgentError(reasons[error.code ?? ''] ?? `${path}: ${error.message}`, {
    code: 'unavailable',
    retryable: error.code !== 'EACCES',
    cause: error,
  });
}

/**
 * Asks a running agent over its control socket.
 *
 * @throws AgentError `unavailable` when none answers, `refused` when it cannot tell now,
 *   `invalid-input` when the argument is none
 */
export function askAgent<Name extends keyof Reports>(
  path: string,
  name: Name,
  options: { readonly signal: AbortSignal; readonly argument?: string },
): Promise<Reports[Name]> {
  const { signal, argument } = options;
  const url = argument === undefined ? `/${name}` : `/${name}/${encodeURIComponent(argument)}`;
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: path, path: url, signal }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        const body = JSON.parse(text);
        if (response.statusCode === 200) resolve(body);
        else if (response.statusCode === 400) {
          reject(new AgentError(String(body.error), { code: 'invalid-input' }));
        } else reject(new AgentError(String(body.error), { code: 'refused', retryable: true }));
      });
    });
    outgoing.on('error', (error) => {
      reject(
        options.signal.aborted
          ? new AgentError(`the agent on ${path} did not answer in time`, {
              code: 'deadline',
              retryable: true,
            })
          : describeFailure(path, error),
      );
    });
    outgoing.end();
  });
}
