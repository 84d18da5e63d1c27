import { connect } from 'node:net';
import { Command } from 'commander';
import { loadYamlConfig } from '../agent/index.ts';
import { AgentError } from '../util/index.ts';
import { createLogger } from './logging.ts';
import { print } from './options.ts';
import { stopSignal } from './stop-signal.ts';

const DEFAULT_VSW_CONFIG_PATH = '/etc/lagopus-ipsec/vsw.yaml';

type VswOptions = { readonly config: string; readonly status: boolean; readonly json: boolean };

async function readAll(path: string): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of connect(path)) chunks.push(Buffer.from(chunk));
  } catch (cause) {
    throw new AgentError(`nobody answers on ${path}: is \`ipsec-agent vsw\` running?`, {
      code: 'unavailable',
      cause,
    });
  }
  return Buffer.concat(chunks).toString('utf8').trim();
}

/** `ipsec-agent vsw`: the driver of a Lagopus router, until it is told to stop; or what it says of itself. */
export function vswCommand(): Command {
  return new Command('vsw')
    .description('serve the contract for an unmodified Lagopus router (vsw), until stopped')
    .option('--config <file>', 'YAML configuration', DEFAULT_VSW_CONFIG_PATH)
    .option('--status', 'show what the running one sees of vsw, its slots and their odds', false)
    .option('--json', 'log JSON lines; with --status, print JSON', false)
    .action(async (options: VswOptions) => {
      // Not before: an agent would keep in memory what only this uses.
      const { formatVswStatus, startVsw, vswConfigSchema } = await import('../vsw/index.ts');
      const config = await loadYamlConfig(vswConfigSchema, options.config, { mayBeAbsent: false });
      if (options.status) {
        const text = await readAll(config.statusSocket);
        print(options.json ? text : formatVswStatus(text));
        return;
      }
      const logger = createLogger(config.log.level, options.json);
      await startVsw(config, { logger, signal: stopSignal() });
    });
}
