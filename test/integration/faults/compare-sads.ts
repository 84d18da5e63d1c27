import { CommandError, command, type Gateway, inRepository } from '../../support/index.ts';

const SCRIPT = inRepository('test', 'support', 'compare-sads.ts');
const SWANCTL = inRepository('build', 'test-tools', 'swanctl');

/** What the independent comparison prints of a gateway; for the caller to know. */
export async function compareSads({ charon, dataplane }: Gateway): Promise<unknown> {
  const argv = [process.execPath, SCRIPT, charon.viciUri, dataplane.target] as const;
  try {
    return JSON.parse((await command(['env', `SWANCTL=${SWANCTL}`, ...argv])).stdout);
  } catch (error) {
    // 1 says that something differs, and prints what.
    if (error instanceof CommandError && error.status === 1) return JSON.parse(error.stdout);
    throw error;
  }
}
