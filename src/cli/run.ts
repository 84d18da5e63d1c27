import { Command } from 'commander';
import { agentConfigSchema, DEFAULT_AGENT_CONFIG_PATH, loadYamlConfig, runAgent } from '../agent/index.ts';
import { createLogger } from './logging.ts';
import { keepHeapSmall } from './small-heap.ts';
import { stopSignal } from './stop-signal.ts';
import { readVersion } from './version.ts';

type RunOptions = { readonly config?: string; readonly json: boolean };

/** `ipsec-agent run`: the agent itself, until it is told to stop. */
export function runCommand(): Command {
  return new Command('run')
    .description('keep the dataplane equal to charon, until stopped')
    .option('--config <file>', `YAML configuration (default: ${DEFAULT_AGENT_CONFIG_PATH} if it exists)`)
    .option('--json', 'log JSON lines', false)
    .action(async (options: RunOptions) => {
      keepHeapSmall();
      const config = await loadYamlConfig(agentConfigSchema, options.config ?? DEFAULT_AGENT_CONFIG_PATH, {
        mayBeAbsent: options.config === undefined,
      });
      const logger = createLogger(config.log.level, options.json);
      await runAgent(config, { logger, version: await readVersion(), signal: stopSignal() });
    });
}
