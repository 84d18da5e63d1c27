import { Command } from 'commander';
import { AgentError } from '../util/index.ts';
import { controlCommands } from './charon/control.ts';
import { listCommands } from './charon/listings.ts';
import { monitorCommand } from './charon/monitor.ts';

/** `ipsec-agent charon ...`: strongSwan's own view, over VICI. */
export function charonCommand(): Command {
  const commands = [...listCommands(), monitorCommand(), ...controlCommands()];
  const command = new Command('charon')
    .description("look at strongSwan's charon and command it, over VICI")
    .usage('<command> [options]')
    .argument('[command]')
    .action((name: string | undefined) => {
      const known = commands.map((sub) => sub.name()).join(', ');
      const problem = name === undefined ? 'name a command' : `no command "${name}"`;
      throw new AgentError(`${problem}; there is: ${known}`, { code: 'unsupported' });
    });
  for (const sub of commands) command.addCommand(sub.exitOverride());
  return command;
}
