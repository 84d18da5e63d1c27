/** A CHILD_SA as charon's log tells it at level 4 of `chd`, keys in hex. */
export type LoggedChild = {
  readonly spiIn: number;
  readonly spiOut: number;
  /** Of initiator and responder, in this order; each encryption and integrity together. */
  readonly keys: readonly [string, string];
};

type Names = 'encryption initiator' | 'encryption responder' | 'integrity initiator' | 'integrity responder';

/**
 * Reads what keymat_v2.c and child_sa.c log when a CHILD_SA is installed: keys as dumps of 16 bytes a
 * line, then the SPIs of both SAs.
 */
export function parseKeyLog(log: string): readonly LoggedChild[] {
  const children: LoggedChild[] = [];
  let keys: Partial<Record<Names, string>> = {};
  let current: Names | undefined;
  let direction: 'in' | 'out' | undefined;
  let spis: { in?: number; out?: number } = {};
  for (const line of log.split('\n')) {
    const text = line.replace(/^\S+ \d+\[\w+\]\s?(?:<[^>]*>\s?)?/, '');
    const start = /^(encryption|integrity) (initiator|responder) key => (\d+) bytes/.exec(text);
    if (start !== null) {
      current = `${start[1]} ${start[2]}` as Names;
      if (current === 'encryption initiator') {
        keys = {};
        spis = {};
      }
      keys[current] = '';
      continue;
    }
    const dump = /^\s*\d+: ((?:[0-9A-F]{2} ?)+)/.exec(text);
    if (current !== undefined && dump !== null) {
      keys[current] = (keys[current] ?? '') + (dump[1] ?? '').replaceAll(' ', '').toLowerCase();
      continue;
    }
    current = undefined;
    const adding = /adding (inbound|outbound) (?:ESP|AH) SA/.exec(text);
    if (adding !== null) direction = adding[1] === 'inbound' ? 'in' : 'out';
    const spi = /SPI 0x([0-9a-f]+), src/.exec(text);
    if (spi === null || direction === undefined) continue;
    spis[direction] = Number.parseInt(spi[1] ?? '', 16);
    direction = undefined;
    if (spis.in === undefined || spis.out === undefined) continue;
    const keyOf = (role: 'initiator' | 'responder'): string =>
      (keys[`encryption ${role}`] ?? '') + (keys[`integrity ${role}`] ?? '');
    children.push({ spiIn: spis.in, spiOut: spis.out, keys: [keyOf('initiator'), keyOf('responder')] });
    spis = {};
  }
  return children;
}
