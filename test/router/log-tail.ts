const LINES = 15;
const LINE_CHARS = 200;

/** The end of vsw's log for an error message; vsw logs keys, so that lines with what may be one are left out. */
export function logTail(log: string): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  const tail = lines
    .slice(-LINES)
    .map((line) => (mayHaveKey(line) ? '(left out)' : line.slice(0, LINE_CHARS)));
  return tail.length === 0 ? '(it logged nothing)' : tail.join('\n');
}

/** Long hexadecimal words, listed bytes, and whatever calls itself a key. */
function mayHaveKey(line: string): boolean {
  return /[0-9a-f]{24,}|(?:\b(?:0x)?[0-9a-f]{1,3}[\s,:]+){8,}|key/i.test(line);
}

/** That a port of vsw is dumb: nothing that Linux sends there gets out, not even ARP. Undefined when none is. */
export function dumbPort(log: string): string | undefined {
  const line = log.split('\n').find((text) => /Read from Tap failed: .*not pollable/.test(text));
  return line === undefined ? undefined : line.slice(0, LINE_CHARS);
}
