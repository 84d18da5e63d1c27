/** What a sample of a dataplane's process was at. */
export const STAGES = [
  'ciphers and digests',
  'own code',
  'TUN device (read, writev)',
  'sockets (sendmmsg, recvmmsg)',
  'event loop and the rest',
] as const;

export type Stage = (typeof STAGES)[number];

/** A figure for each stage. */
export type Account = Readonly<Record<Stage, number>>;

/** The entry of a system call, or the function behind it that is not inlined. */
const TUN_CALL =
  /\b(?:__(?:x64|arm64)_sys_(?:read|write)v?|ksys_read|vfs_readv?|ksys_write|do_writev|vfs_writev?|tun_chr_\w+)\b/;
const SOCKET_CALL = /\b__(?:x64_|arm64_)?sys_(?:send|recv)m?msg\b/;

/** The share of each stage in the output of `perf script -F ip,sym,dso` of a recording with stacks. */
export function classifySamples(script: string): Account {
  const counts = new Map<Stage, number>();
  const samples = script.split(/\n\s*\n/).filter((sample) => sample.trim() !== '');
  for (const sample of samples) {
    const stage = stageOf(sample.trim().split('\n'));
    counts.set(stage, (counts.get(stage) ?? 0) + 1);
  }
  return mapStages((stage) => (counts.get(stage) ?? 0) / Math.max(samples.length, 1));
}

export function mapStages(figureOf: (stage: Stage) => number): Account {
  return {
    'ciphers and digests': figureOf('ciphers and digests'),
    'own code': figureOf('own code'),
    'TUN device (read, writev)': figureOf('TUN device (read, writev)'),
    'sockets (sendmmsg, recvmmsg)': figureOf('sockets (sendmmsg, recvmmsg)'),
    'event loop and the rest': figureOf('event loop and the rest'),
  };
}

/** Frames are innermost first. */
function stageOf(frames: readonly string[]): Stage {
  if (frames.some((frame) => TUN_CALL.test(frame))) return 'TUN device (read, writev)';
  if (frames.some((frame) => SOCKET_CALL.test(frame))) return 'sockets (sendmmsg, recvmmsg)';
  if (frames.some((frame) => frame.includes('[kernel'))) return 'event loop and the rest';
  const [innermost = ''] = frames;
  if (innermost.includes('lagopus_native.node')) return 'own code';
  if (
    /ossl|aes|gcm|ghash|sha\d|chacha|poly1305|EVP|evp_|CRYPTO|HMAC|hmac|cipher|rand|RAND|ctr/i.test(innermost)
  )
    return /\/node\)/.test(innermost) ? 'ciphers and digests' : 'event loop and the rest';
  return /memmove|memcpy|memset/.test(innermost) ? 'own code' : 'event loop and the rest';
}
