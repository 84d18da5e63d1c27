/**
 * Two ends of a TCP connection that carries pseudo-random bytes and compares their digests, for tests
 * to run in namespaces:
 *
 *     tcp-copy.ts serve ADDRESS PORT            prints a line when it listens, then the digest received
 *     tcp-copy.ts send FROM TO PORT BYTES       prints the digest sent
 */
import { createHash } from 'node:crypto';
import { connect, createServer } from 'node:net';

const [mode, from = '', to = '', port = '', bytes = '0'] = process.argv.slice(2);

function serve(): void {
  const server = createServer((socket) => {
    const hash = createHash('sha256');
    socket.on('data', (chunk) => hash.update(chunk));
    socket.on('end', () => {
      process.stdout.write(`${hash.digest('hex')}\n`);
      socket.end();
      server.close();
    });
  });
  server.listen(Number(to), from, () => process.stdout.write('listening\n'));
}

/** A generator of bytes that do not repeat; anything lost, doubled or exchanged changes the digest. */
function* content(total: number): Generator<Buffer, void, undefined> {
  let state = 12345;
  for (let left = total; left > 0; left -= 65_537) {
    const chunk = Buffer.alloc(Math.min(left, 65_537));
    for (let i = 0; i < chunk.length; i += 1) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      chunk[i] = state >>> 16;
    }
    yield chunk;
  }
}

async function send(): Promise<void> {
  const socket = connect({ host: to, port: Number(port), localAddress: from });
  const hash = createHash('sha256');
  for (const chunk of content(Number(bytes))) {
    hash.update(chunk);
    if (!socket.write(chunk)) await new Promise((resolve) => socket.once('drain', resolve));
  }
  socket.end();
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
  process.stdout.write(`${hash.digest('hex')}\n`);
}

if (mode === 'serve') serve();
else await send();
