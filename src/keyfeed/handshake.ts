import { AgentError, MalformedError } from '../util/index.ts';
import { decodePluginMessage } from './decode-plugin-message.ts';
import { encodeAgentMessage } from './encode-agent-message.ts';
import type { FeedSocket } from './feed-socket.ts';
import type { Hello } from './messages.ts';
import { pluginError } from './plugin-error.ts';
import { PROTOCOL_VERSION } from './wire.ts';

/**
 * Waits for HELLO and answers AGENT_HELLO. Nothing more is read after that, until
 * somebody receives again. Throws what ended the connection when that comes first.
 */
export async function shakeHands(socket: FeedSocket, server: string): Promise<Hello> {
  const greeting = Promise.withResolvers<Hello>();
  let isGreeted = false;
  const answer = (): void => {
    socket.send(
      encodeAgentMessage({
        kind: 'agent-hello',
        version: PROTOCOL_VERSION,
        server,
        wantsFailures: true,
      }),
    );
  };

  socket.receive(({ bytes, offset }) => {
    try {
      const message = decodePluginMessage(bytes, offset);
      if (message.kind === 'error') throw pluginError(message);
      if (message.kind !== 'hello' || isGreeted) {
        throw new MalformedError(`${message.kind} before the handshake`, offset);
      }
      isGreeted = true;
      socket.pause();
      answer();
      greeting.resolve(message);
    } catch (error) {
      // Of another version: the plugin learns ours, and says so in charon's log.
      if (error instanceof AgentError && error.code === 'unsupported') answer();
      throw error;
    }
  });

  const failure = socket.ended.then((reason) => {
    throw reason ?? new AgentError('the key feed was closed', { code: 'aborted' });
  });
  return await Promise.race([greeting.promise, failure]);
}
