import { flushCompileCache } from 'node:module';
import { Command } from 'commander';
import { loadYamlConfig, startMetricsServer } from '../agent/index.ts';
import type { DataplaneConfig } from '../dataplane/index.ts';
import { LagopusDataplane } from '../lagopus/index.ts';
import { AgentError } from '../util/index.ts';
import { createLogger } from './logging.ts';
import { print } from './options.ts';
import { stopSignal } from './stop-signal.ts';

const DEFAULT_DATAPLANE_CONFIG_PATH = '/etc/lagopus-ipsec/dataplane.yaml';

type DataplaneOptions = { readonly config?: string; readonly check: boolean; readonly json: boolean };

/** Asks the dataplane that runs with this configuration for its capabilities. */
async function check({ listen }: DataplaneConfig): Promise<void> {
  if (!listen.startsWith('unix://')) {
    throw new AgentError(`--check asks on a unix socket, and this dataplane listens on ${listen}`, {
      code: 'unsupported',
    });
  }
  await using dataplane = await LagopusDataplane.open({ target: listen, ownerId: 'check' });
  await dataplane.capabilities();
  print(`answers on ${listen}`);
}

/** `ipsec-agent dataplane`: the embedded software dataplane, until it is told to stop. */
export function dataplaneCommand(): Command {
  return new Command('dataplane')
    .description('serve the contract with the embedded software ESP dataplane, until stopped')
    .option('--config <file>', `YAML configuration (default: ${DEFAULT_DATAPLANE_CONFIG_PATH} if it exists)`)
    .option('--check', 'ask the running dataplane whether it answers, and end', false)
    .option('--json', 'log JSON lines', false)
    .action(async (options: DataplaneOptions) => {
      // Not before: an agent would keep in memory what only a dataplane uses.
      const { dataplaneConfigSchema, startDataplane } = await import('../dataplane/index.ts');
      flushCompileCache();
      const config = await loadYamlConfig(
        dataplaneConfigSchema,
        options.config ?? DEFAULT_DATAPLANE_CONFIG_PATH,
        { mayBeAbsent: options.config === undefined },
      );
      if (options.check) return check(config);
      const logger = createLogger(config.log.level, options.json);
      await startDataplane(config, { logger, signal: stopSignal(), serveMetrics: startMetricsServer });
    });
}
