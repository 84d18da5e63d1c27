import { assertNever } from '../util/index.ts';
import type { LinkState } from './link-state.ts';
import type { Readiness } from './requests.ts';

export type Standing = {
  readonly link: LinkState;
  /** Why the writer's role could not be taken, since it was last tried from scratch. */
  readonly acquireFailure: string | undefined;
  /** Whether the dataplane was compared with the last snapshot since it came up. */
  readonly isCompared: boolean;
};

/** Why charon's requests cannot be answered; undefined when they can. */
export function obstacleOf({ link, acquireFailure, isCompared }: Standing): string | undefined {
  switch (link.kind) {
    case 'down':
      return `no dataplane: ${link.reason}`;
    case 'no-snapshot':
      return 'no snapshot of charon yet';
    case 'fenced':
      return `another agent is the writer: ${link.reason}`;
    case 'acquiring':
      if (acquireFailure !== undefined) return `cannot become the writer: ${acquireFailure}`;
      break;
    case 'up':
      break;
    default:
      return assertNever(link, 'link state');
  }
  return isCompared ? undefined : 'not compared with the dataplane yet';
}

/** Taking the writer's role again after an ambiguous answer does not end being ready. */
export function readinessOf(standing: Standing): Readiness {
  const { link } = standing;
  const reason = obstacleOf(standing);
  if (reason !== undefined || link.kind === 'down') {
    return { kind: 'not-ready', reason: reason ?? 'no dataplane' };
  }
  const { routeInterface, ackLatencyUs } = link.capabilities;
  return { kind: 'ready', routeInterface, ackLatencyUs };
}

export function isSameReadiness(a: Readiness, b: Readiness): boolean {
  if (a.kind === 'ready' && b.kind === 'ready') {
    return a.routeInterface === b.routeInterface && a.ackLatencyUs === b.ackLatencyUs;
  }
  return a.kind === 'not-ready' && b.kind === 'not-ready' && a.reason === b.reason;
}
