import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { AgentError } from './agent-error.ts';

const ADDON = '../../build/native/lagopus_native.node';

/**
 * What native/ exports, to be checked by whoever uses it.
 * @throws AgentError when the addon was not built
 */
export function loadAddon(): unknown {
  try {
    return createRequire(import.meta.url)(ADDON);
  } catch (cause) {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    throw new AgentError(
      `the native addon cannot be loaded; in ${root} run \`npm run setup\` (a clone) or ` +
        '`sh scripts/install-package.sh` (an installed package)',
      { code: 'unsupported', cause },
    );
  }
}
