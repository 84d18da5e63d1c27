/**
 * npm run router -- --vsw PATH [OPTIONS]: a real Lagopus router's vsw with the driver, a charon and an agent,
 * through rekeyings and restarts; prints what held. Status 1: something did not. docs/router-lab.md
 */
import { mkdir } from 'node:fs/promises';
import { Lab } from '../support/index.ts';
import { routerLines, vswConf } from './configuration.ts';
import { type RouterOptions, readOptions } from './options.ts';
import { allHeld, formatReport, type ReportLine } from './report.ts';
import { Rig } from './rig.ts';
import { runScenarios } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';

const INVALID_INPUT_STATUS = 2;

const say = (text: string): void => void process.stderr.write(`router: ${text}\n`);

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if ('text' in options) {
    (options.isAsked ? process.stdout : process.stderr).write(`${options.text}\n`);
    return options.isAsked ? 0 : INVALID_INPUT_STATUS;
  }
  if ('print' in options) {
    process.stdout.write(
      `# the router's configuration\n${routerLines()}\n# vsw.conf\n${vswConf(options.print)}`,
    );
    return 0;
  }
  try {
    return await run(options);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

async function run(options: RouterOptions): Promise<number> {
  const { keepDir } = options;
  if (keepDir !== undefined) await mkdir(keepDir, { recursive: true, mode: 0o700 });
  await using lab = await Lab.create(keepDir === undefined ? {} : { dir: keepDir });
  const startedMs = performance.now();
  say(`starting vsw, via ${options.via}`);
  const rig = await Rig.start(lab, options);
  const lines = await runScenarios(SCENARIOS, rig, tell);
  process.stdout.write(`${formatReport(lines)}\n`);
  say(`done in ${Math.round((performance.now() - startedMs) / 1_000)} s`);
  if (allHeld(lines)) return 0;
  if (keepDir === undefined) say('--keep DIR keeps the logs of all processes');
  return 1;
}

function tell({ name, verdict }: ReportLine): void {
  if (verdict === undefined) say(`${name}: not run`);
  else say(`${verdict.held ? 'held  ' : 'FAILED'} ${name}: ${verdict.figures}`);
}

process.exitCode = await main();
