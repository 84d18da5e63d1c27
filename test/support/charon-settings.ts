import { inRepository } from './repository.ts';
import { formatSettings, mergeSettings, type Settings } from './settings.ts';

/**
 * Who does a charon's ESP: our plugin, strongSwan's own user-space backend, or (in the UML guest)
 * the Linux kernel.
 */
export type CharonBackend = 'lagopus' | 'libipsec' | 'kernel';

/** charon's log groups with their levels, -1 (silent) to 4 (keys included). */
export type LogLevels = { readonly default: number; readonly [group: string]: number };

const PLUGINS = [
  ...[
    'random',
    'nonce',
    'aes',
    'sha1',
    'sha2',
    'hmac',
    'kdf',
    'openssl',
    'curve25519',
    'gmp',
    'pem',
    'pkcs1',
  ],
  ...['pkcs8', 'x509', 'revocation', 'constraints', 'pubkey', 'socket-default'],
];

/** By default swanctl loads every plugin there is, which takes longer than what it is asked to do. */
const SWANCTL_PLUGINS = ['random', 'sha1', 'sha2', 'openssl', 'pem', 'pkcs1', 'pkcs8', 'x509', 'pubkey'];

const BACKEND_PLUGINS: Readonly<Record<CharonBackend, readonly string[]>> = {
  lagopus: ['kernel-lagopus', 'kernel-netlink'],
  libipsec: ['gcm', 'ccm', 'ctr', 'chapoly', 'xcbc', 'cmac', 'kernel-libipsec', 'kernel-netlink'],
  kernel: ['kernel-netlink'],
};

/** The strongswan.conf of one daemon, everything it writes or listens on in its own directory. */
export function charonSettings(options: {
  readonly backend: CharonBackend;
  readonly viciUri: string;
  readonly logPath: string;
  readonly logLevels: LogLevels;
  /** The kernel-lagopus plugin's socket. */
  readonly pluginSocket: string;
  /** Added on top, at the level of the `charon` section. */
  readonly extra: Settings;
}): string {
  const { backend } = options;
  const charon = mergeSettings(
    {
      load: [...PLUGINS, ...BACKEND_PLUGINS[backend], 'vici', 'updown', 'counters'].join(' '),
      // A peer that is not there is noticed within a test's patience.
      retransmit_tries: 3,
      retransmit_timeout: 1,
      plugins: {
        vici: { socket: options.viciUri },
        ...(backend === 'lagopus' ? { 'kernel-lagopus': { socket: `unix://${options.pluginSocket}` } } : {}),
      },
      filelog: {
        tests: {
          path: options.logPath,
          flush_line: true,
          time_format: '%T',
          time_add_ms: true,
          ...options.logLevels,
        },
      },
      syslog: { daemon: { default: -1 }, auth: { default: -1 } },
    },
    options.extra,
  );
  const shipped =
    backend === 'lagopus'
      ? `include ${inRepository('strongswan-conf', 'charon-lagopus.conf')}\n` +
        `charon {\n  plugins {\n    include ${inRepository('strongswan-conf', 'kernel-lagopus.conf')}\n  }\n}\n`
      : '';
  return `${shipped}${formatSettings({
    charon,
    'charon-systemd': { journal: { default: -1 } },
    swanctl: { load: SWANCTL_PLUGINS.join(' ') },
  })}`;
}
