import { type CommandHost, inRepository, type NetNamespace } from '../support/index.ts';

const PROGRAM = inRepository('build', 'test-tools', 'datagram-echo');
const PORT = '7007';
const TRIES = '3';
const TIMEOUT_MS = '600';

/** Answers at these addresses of a namespace as long as that lives. */
export async function serveEcho(
  namespace: NetNamespace,
  dir: string,
  addresses: readonly string[],
): Promise<AsyncDisposable> {
  let isReady = false;
  const server = namespace.spawn({
    name: 'datagram-echo',
    argv: [PROGRAM, 'serve', PORT, ...addresses],
    logPath: `${dir}/datagram-echo.log`,
    onLine: () => {
      isReady = true;
    },
  });
  await server.waitFor('its sockets are bound', () => isReady);
  return server;
}

/** The command that does the same in a guest, in the background. */
export function serveCommand(addresses: readonly string[]): string {
  return `${PROGRAM} serve ${PORT} ${addresses.join(' ')} >echo.log 2>&1 &`;
}

/**
 * Sends one datagram of each size and compares what comes back.
 *
 * @returns how many had to be sent again.
 * @throws CommandError naming the size that did not come back, or not as it was sent.
 */
export async function askEcho(
  host: CommandHost,
  from: string,
  to: string,
  sizes: readonly number[],
): Promise<number> {
  const { stdout } = await host.run([
    ...([PROGRAM, 'ask', from, to, PORT, TRIES, TIMEOUT_MS] as const),
    ...sizes.map(String),
  ]);
  return stdout
    .trim()
    .split(' ')
    .reduce((repeats, sent) => repeats + Number(sent) - 1, 0);
}
