import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { inRepository } from '../../support/index.ts';

/** The tag of the images under test, which scripts/test-containers.sh has built. */
export const TAG: string = process.env.LAGOPUS_TAG ?? 'test';

const seconds = z
  .string()
  .regex(/^\d+s$/)
  .transform((text) => Number.parseInt(text, 10));

const healthcheck = z.union([
  z.strictObject({ disable: z.literal(true) }),
  z.strictObject({
    test: z.array(z.string()).min(2),
    interval: seconds,
    timeout: seconds,
    retries: z.int(),
  }),
]);

/**
 * Every key that compose.yaml uses and nothing else: what these tests would not start the same way as
 * `docker compose` is an error here, so that file and tests cannot part.
 */
const service = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.literal('.'), target: z.string() }).optional(),
  profiles: z.array(z.string()).optional(),
  entrypoint: z.array(z.string()).optional(),
  command: z.array(z.string()).optional(),
  stop_signal: z.string().optional(),
  healthcheck: healthcheck.optional(),
  cap_drop: z.array(z.string()),
  cap_add: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  read_only: z.boolean().default(false),
  tmpfs: z.array(z.string()).default([]),
  restart: z.literal('unless-stopped'),
  sysctls: z.record(z.string(), z.string()).default({}),
  devices: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  network_mode: z
    .string()
    .regex(/^(none|service:[a-z-]+)$/)
    .optional(),
  networks: z.record(z.string(), z.strictObject({ ipv4_address: z.ipv4() })).default({}),
});

const composeFile = z.looseObject({
  services: z.record(z.string(), service),
  networks: z.record(
    z.string(),
    z.strictObject({
      ipam: z.strictObject({ config: z.array(z.strictObject({ subnet: z.cidrv4() })).length(1) }),
    }),
  ),
  volumes: z.record(z.string(), z.null()),
});

export type ComposeService = z.output<typeof service>;
export type ComposeFile = z.output<typeof composeFile>;

/** As compose does: `${NAME:-default}` from the environment. */
function interpolate(text: string): string {
  return text.replaceAll(/\$\{LAGOPUS_TAG:-[^}]*\}/g, TAG);
}

/** compose.yaml, parsed and checked. */
export function readComposeFile(): ComposeFile {
  const text = interpolate(readFileSync(inRepository('compose.yaml'), 'utf8'));
  const { services, networks, volumes, ...rest } = composeFile.parse(parse(text, { merge: true }));
  const unknown = Object.keys(rest).filter((key) => !key.startsWith('x-'));
  if (unknown.length > 0) throw new Error(`compose.yaml: unknown keys: ${unknown.join(', ')}`);
  return { services, networks, volumes };
}
