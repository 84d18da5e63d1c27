import { readFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { z } from 'zod';
import { CommandError, command, inRepository, ROOT } from '../../test/support/index.ts';

const GIBIBYTE = 2 ** 30;

/** What a figure depends on, and nothing that names the machine. */
export type Environment = {
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly kernel: string;
    readonly memoryGiB: number;
  };
  readonly versions: {
    readonly node: string;
    readonly strongswan: string;
    readonly agent: string;
  };
  /** HEAD; with `+changes` when tracked files differ from it. */
  readonly commit: string;
};

export async function readEnvironment(): Promise<Environment> {
  const [strongswan, agent, commit] = await Promise.all([strongswanVersion(), agentVersion(), headCommit()]);
  const processors = cpus();
  return {
    machine: {
      cpu: processors[0]?.model.trim() ?? 'unknown',
      cores: processors.length,
      kernel: release(),
      memoryGiB: Math.round((totalmem() / GIBIBYTE) * 10) / 10,
    },
    versions: { node: process.versions.node, strongswan, agent },
    commit,
  };
}

async function strongswanVersion(): Promise<string> {
  // Name, tab, version.
  const { stdout } = await command(['dpkg-query', '-W', 'charon-systemd']);
  return stdout.trim().split('\t')[1] ?? 'unknown';
}

async function agentVersion(): Promise<string> {
  const text = await readFile(inRepository('package.json'), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

async function headCommit(): Promise<string> {
  try {
    const { stdout } = await command([
      'git',
      '-C',
      ROOT,
      'describe',
      '--always',
      '--abbrev=12',
      '--exclude=*',
      '--dirty=+changes',
    ]);
    return stdout.trim();
  } catch (error) {
    // Measured in an unpacked archive.
    if (error instanceof CommandError) return 'unknown';
    throw error;
  }
}
