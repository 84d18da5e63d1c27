import { Command } from 'commander';
import { loadYamlConfig } from '../agent/index.ts';
import { dataplaneConfigSchema, startDataplane } from '../dataplane/index.ts';
import { createLogger } from './logging.ts';
import { stopSignal } from './stop-signal.ts';

const DEFAULT_DATAPLANE_CONFIG_PATH = '/etc/lagopus-ipsec/dataplane.yaml';

type DataplaneOptions = { readonly config?: string; readonly json: boolean };

/** `ipsec-agent dataplane`: the embedded software dataplane, until it is told to stop. */
export function dataplaneCommand(): Command {
  return new Command('dataplane')
    .description('serve the contract with the embedded software ESP dataplane, until stopped')
    .option('--config <file>', `YAML configuration (default: ${DEFAULT_DATAPLANE_CONFIG_PATH} if it exists)`)
    .option('--json', 'log JSON lines', false)
    .action(async (options: DataplaneOptions) => {
      const config = await loadYamlConfig(
        dataplaneConfigSchema,
        options.config ?? DEFAULT_DATAPLANE_CONFIG_PATH,
        { mayBeAbsent: options.config === undefined },
      );
      const logger = createLogger(config.log.level, options.json);
      await startDataplane(config, { logger, signal: stopSignal() });
    });
}
