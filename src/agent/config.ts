import { readFile } from 'node:fs/promises';
import { parse as parseYaml, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { AgentError, errorMessage } from '../util/index.ts';
import { parseMetricsAddress } from './metrics-server.ts';
import { vrfRuleSchema } from './vrf-rules.ts';

/** Where the agent looks when no `--config` is given; it may be absent. */
export const DEFAULT_AGENT_CONFIG_PATH = '/etc/lagopus-ipsec/agent.yaml';

/** Where `ipsec-agent run` answers the command line. */
export const DEFAULT_CONTROL_SOCKET = '/run/lagopus-ipsec/agent.sock';

const absolutePath = z.string().startsWith('/', 'expected an absolute path');

const viciUri = z
  .string()
  .regex(/^(unix:\/\/\/.+|tcp:\/\/.+:\d+)$/, 'expected unix:///path or tcp://host:port');

const metricsAddress = z
  .string()
  .refine(
    (address) => parseMetricsAddress(address) !== undefined,
    'expected unix:///path or tcp://host:port, such as tcp://127.0.0.1:9464',
  );

const tls = z.strictObject({ ca: absolutePath, cert: absolutePath, key: absolutePath });

/**
 * The agent's configuration file. Every key is optional; times are in the unit
 * their name ends with.
 */
export const agentConfigSchema = z.strictObject({
  /**
   * Where SAs come from. `plugin` is charon's kernel-lagopus. `vici` is any charon: it tells no keys, so
   * that nothing is installed, but shown and compared.
   */
  source: z.enum(['plugin', 'vici']).default('plugin'),
  plugin: z.strictObject({ socket: absolutePath.default('/run/charon.lagopus') }).prefault({}),
  vici: z.strictObject({ uri: viciUri.default('unix:///run/charon.vici') }).prefault({}),
  dataplane: z
    .strictObject({
      /** unix:///path, or host:port with `tls`. */
      target: z.string().min(1).default('unix:///run/lagopus-ipsec/dataplane.sock'),
      /** Whose entries in the dataplane are ours: one name per charon. */
      owner: z.string().min(1).max(64).default('charon'),
      tls: tls.optional(),
      /** Speak plain TCP. Keys cross the network in clear. */
      insecure: z.boolean().default(false),
    })
    .prefault({}),
  /** When deletions that only charon's tables speak for stop and wait for VICI's word. */
  brake: z
    .strictObject({
      /** Of all SAs in the dataplane; 1 is no brake. */
      maxShare: z.number().min(0).max(1).default(0.5),
      /** So many may go whatever the share. */
      allowance: z.int().min(0).default(10),
    })
    .prefault({}),
  control: z
    .strictObject({
      socket: absolutePath.default(DEFAULT_CONTROL_SOCKET),
      /** Mode 0660 instead of 0600: who is in the process's group (or a setgid folder's) may ask too. */
      groupAccess: z.boolean().default(false),
    })
    .prefault({}),
  /** In order: the first one that matches gives an SA and its policies their inner VRF. */
  vrfRules: z.array(vrfRuleSchema).max(4_096).default([]),
  /** How often charon's counters are brought up to date. */
  usageIntervalMs: z.int().min(100).max(60_000).default(1_000),
  /** How often the dataplane's listing is compared with charon's. */
  auditIntervalMs: z.int().min(1_000).max(3_600_000).default(30_000),
  /** Prometheus' text at /metrics, where somebody is to ask for it. */
  metrics: z.strictObject({ listen: metricsAddress }).optional(),
  log: z
    .strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info') })
    .prefault({}),
});

export type AgentConfig = z.output<typeof agentConfigSchema>;

function describeIssues(error: z.ZodError): string {
  return error.issues
    .map((issue) => {
      const path = issue.path.length === 0 ? 'the file' : issue.path.join('.');
      return `${path}: ${issue.message}`;
    })
    .join('; ');
}

/**
 * Reads and checks a YAML file.
 *
 * @throws AgentError `invalid-input`: which file, which key, what was expected.
 */
export async function loadYamlConfig<Schema extends z.ZodType>(
  schema: Schema,
  path: string,
  options: { readonly mayBeAbsent: boolean },
): Promise<z.output<Schema>> {
  let text = '';
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!isAbsent || !options.mayBeAbsent) {
      throw new AgentError(`cannot read the configuration ${path}: ${errorMessage(error)}`, {
        code: 'invalid-input',
        cause: error,
      });
    }
  }
  return parseConfig(schema, text, path);
}

/** Checks YAML text; `name` is what errors call it. */
export function parseConfig<Schema extends z.ZodType>(
  schema: Schema,
  text: string,
  name: string,
): z.output<Schema> {
  let raw: unknown;
  try {
    raw = parseYaml(text) ?? {};
  } catch (error) {
    const message = error instanceof YAMLParseError ? error.message : errorMessage(error);
    throw new AgentError(`${name} is not YAML: ${message}`, { code: 'invalid-input', cause: error });
  }
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    throw new AgentError(`${name}: ${describeIssues(parsed.error)}`, { code: 'invalid-input' });
  }
  return parsed.data;
}
