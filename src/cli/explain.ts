import { Command, InvalidArgumentError } from 'commander';
import { askAgent, type ExplainReport, parseSpi, type SaExplanation } from '../agent/index.ts';
import { AgentError, errorMessage } from '../util/index.ts';
import { type AskOptions, print, printJson, withAskOptions } from './options.ts';

/** Without 0x, as the agent names it. */
function parseArgument(text: string): string {
  try {
    return parseSpi(text).toString(16);
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
}

function line(what: string, text: string): void {
  print(`  ${what.padEnd(10)} ${text}`);
}

/** A label in front of the first line only. */
function lines(what: string, texts: readonly string[]): void {
  texts.forEach((text, index) => {
    line(index === 0 ? what : '', text);
  });
}

function describeCharon({ charon }: SaExplanation): string {
  if (charon === null) return 'not listed';
  const installed = charon.installedSecondsAgo === null ? '' : `, for ${charon.installedSecondsAgo} s`;
  return `${charon.childSa} of ${charon.ikeSa}, ${charon.state}${installed}, ${charon.algorithm}`;
}

function describeDesired({ desired, destination }: SaExplanation): string {
  if (desired === null) return 'not told';
  const udp = desired.encapsulation === 'udp' ? ' udp' : '';
  return `${desired.source} > ${destination}${udp}, ${desired.algorithm}, reqid ${desired.reqid}`;
}

function describeDataplane({ dataplane }: SaExplanation): string {
  if (dataplane === null) return 'not there';
  const { source, destination, encapsulation, algorithm, ageSeconds, packets, bytes, drops } = dataplane;
  const udp = encapsulation === 'udp' ? ' udp' : '';
  return (
    `${source} > ${destination}${udp}, ${algorithm}, for ${ageSeconds} s, ` +
    `${packets} packets, ${bytes} bytes, ${drops} drops`
  );
}

function describeStory({ story }: SaExplanation): readonly string[] {
  return story.map(({ at, agoSeconds, what, times, firstAgoSeconds, detail }) => {
    const why = detail === null ? '' : ` (${detail})`;
    const often = times === 1 ? '' : `, ${times} times since ${firstAgoSeconds} s ago`;
    return `${at}  ${agoSeconds} s ago  ${what}${why}${often}`;
  });
}

function printSa(sa: SaExplanation, { source, unasked }: ExplainReport): void {
  print(`${sa.direction} ${sa.protocol} ${sa.spi} to ${sa.destination} ${sa.qualifiers}`.trimEnd());
  const isUnasked = (who: string): boolean => unasked.some((reason) => reason.startsWith(`${who}:`));
  line('charon', isUnasked('charon') ? 'could not be asked' : describeCharon(sa));
  if (source === 'plugin') line('plugin', describeDesired(sa));
  line('dataplane', isUnasked('the dataplane') ? 'could not be asked' : describeDataplane(sa));
  lines('story', describeStory(sa));
  lines('pending', sa.pending);
  lines('next', sa.next);
}

/** `ipsec-agent explain`: an SA's story. */
export function explainCommand(): Command {
  const command = new Command('explain')
    .description('tell the story of an SA: who has it, since when, what is pending, why, and what comes next')
    .argument('<spi>', 'hexadecimal, as swanctl prints it; 0x may precede it', parseArgument);
  return withAskOptions(command, 10).action(async (spi: string, options: AskOptions) => {
    const report = await askAgent(options.socket, 'explain', {
      signal: AbortSignal.timeout(options.timeout),
      argument: spi,
    });
    if (options.json) printJson(report);
    else {
      report.sas.forEach((sa, index) => {
        if (index > 0) print('');
        printSa(sa, report);
      });
      for (const reason of report.unasked) process.stderr.write(`ipsec-agent: could not ask ${reason}\n`);
    }
    if (report.sas.length > 0) return;
    const near = report.nearMisses.length === 0 ? '' : `; there is ${report.nearMisses.join(', ')}`;
    throw new AgentError(`nobody knows an SA with SPI ${report.spi}${near}`, { code: 'refused' });
  });
}
