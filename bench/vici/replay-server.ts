/** node replay-server.ts SOCKET SAS: a charon that has a recorded answer to list-sas, and nothing else. */
import { createServer } from 'node:net';
import { decodePacket, encodePacket, SegmentSplitter } from '../../src/vici/index.ts';
import { answerOf } from './recording.ts';

const [path = '', sas = '0'] = process.argv.slice(2);
const answer = answerOf(Number(sas));
const confirm = encodePacket({ kind: 'event-confirm' });

const server = createServer((socket) => {
  const splitter = new SegmentSplitter();
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    for (const { bytes } of splitter.push(chunk)) {
      socket.write(decodePacket(bytes).kind === 'command-request' ? answer : confirm);
    }
  });
});
server.listen(path, () => process.stdout.write('listening\n'));
