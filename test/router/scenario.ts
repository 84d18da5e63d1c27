import type { ReportLine } from './report.ts';
import type { Rig } from './rig.ts';
import type { Verdict } from './verdict.ts';

export type ScenarioOf<T> = {
  readonly name: string;
  /** One that throws has failed, and the next one is run. */
  readonly run: (subject: T) => Promise<Verdict>;
  /** Without it the next ones make no sense. */
  readonly isNeeded?: boolean;
  /** It can be judged whatever became of the others. */
  readonly isAlways?: boolean;
};

export type Scenario = ScenarioOf<Rig>;

const SCENARIO_TIMEOUT_MS = 120_000;

/**
 * Runs them in their order. After one that does not end in time, and may still be at work, and after one that is
 * needed and failed, only those are run that make sense always.
 */
export async function runScenarios<T>(
  scenarios: readonly ScenarioOf<T>[],
  subject: T,
  onLine: (line: ReportLine) => void,
  timeoutMs = SCENARIO_TIMEOUT_MS,
): Promise<readonly ReportLine[]> {
  const lines: ReportLine[] = [];
  let isOver = false;
  for (const { name, run, isNeeded = false, isAlways = false } of scenarios) {
    const outcome: Verdict | 'stuck' | undefined =
      isOver && !isAlways ? undefined : await withinTime(run(subject), timeoutMs);
    const stuck = { held: false, figures: `not within ${timeoutMs / 1_000} s` };
    const line: ReportLine = { name, verdict: outcome === 'stuck' ? stuck : outcome };
    isOver ||= outcome === 'stuck' || (isNeeded && line.verdict?.held === false);
    lines.push(line);
    onLine(line);
  }
  return lines;
}

async function withinTime(running: Promise<Verdict>, timeoutMs: number): Promise<Verdict | 'stuck'> {
  const timeout = Promise.withResolvers<'stuck'>();
  const timer = setTimeout(() => timeout.resolve('stuck'), timeoutMs);
  const failed = (error: unknown): Verdict => {
    const reason = error instanceof Error ? error.message : String(error);
    return { held: false, figures: reason.trim().split('\n').slice(0, 3).join(' ').slice(0, 300) };
  };
  try {
    return await Promise.race([running.catch(failed), timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
