import { formatSpi, type Spi, toSpi } from '../sad/index.ts';
import { AgentError } from '../util/index.ts';

const MOST_NAMED = 5;
/** So many digits in a row that are the same are no accident. */
const ALIKE_DIGITS = 5;

/**
 * Reads an SPI as swanctl and `ip xfrm` print it: hexadecimal, with or without 0x.
 *
 * @throws AgentError `invalid-input`
 */
export function parseSpi(text: string): Spi {
  const digits = /^(?:0x)?([0-9a-f]{1,8})$/i.exec(text.trim())?.[1];
  const value = Number.parseInt(digits ?? '', 16);
  if (digits === undefined || value < 256) {
    throw new AgentError(`"${text}" is no SPI: expected up to 8 hex digits, 100 or more, such as c0a80001`, {
      code: 'invalid-input',
    });
  }
  return toSpi(value);
}

function swapped(hex: string): string {
  return hex.match(/../g)?.reverse().join('') ?? hex;
}

function isNear(wanted: string, known: string): boolean {
  const differing = [...wanted].filter((digit, index) => digit !== known[index]).length;
  const shortened = wanted.replace(/^0+/, '');
  const isPart = shortened.length >= ALIKE_DIGITS - 1 && known.includes(shortened);
  const isAlike =
    wanted.startsWith(known.slice(0, ALIKE_DIGITS)) || wanted.endsWith(known.slice(-ALIKE_DIGITS));
  return differing <= 2 || isAlike || isPart || swapped(wanted) === known;
}

/** SPIs that were perhaps meant: mistyped, cut off, or in the other byte order. */
export function nearMisses(wanted: Spi, known: Iterable<Spi>): readonly string[] {
  const hex = formatSpi(wanted);
  const near = [...new Set(known)].map(formatSpi).filter((other) => other !== hex && isNear(hex, other));
  return near.sort().slice(0, MOST_NAMED);
}
