import {
  decodeMessage,
  decodePacket,
  encodeMessage,
  encodePacket,
  SegmentSplitter,
  type ViciElement,
  ViciSection,
  ViciValue,
} from '../../src/vici/index.ts';
import { recordedListSas } from '../../test/vici/samples.ts';

/** SAs of the recording, each an IKE_SA with one CHILD_SA. */
export const RECORDED_SAS = 1_000;

/** The messages of list-sa events, as a real charon wrote them. */
export function recordedMessages(): readonly Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (const { bytes } of new SegmentSplitter().push(recordedListSas())) {
    const packet = decodePacket(bytes);
    if (packet.kind === 'event') messages.push(packet.message);
  }
  return messages;
}

/** The recorded answer to list-sas, as many times as needed, every copy with unique ids of its own. */
export function answerOf(sas: number): Buffer {
  const packets: Uint8Array[] = [];
  const messages = recordedMessages().map((message) => decodeMessage(message));
  for (let count = 0; count < sas; count += 1) {
    const message = messages[count % messages.length];
    if (message === undefined) throw new Error('an empty recording');
    packets.push(
      encodePacket({ kind: 'event', name: 'list-sa', message: encodeMessage(renumber(message, count + 1)) }),
    );
  }
  packets.push(encodePacket({ kind: 'command-response', message: new Uint8Array() }));
  return Buffer.concat(packets);
}

function renumber({ elements }: ViciSection, uniqueId: number): ViciSection {
  const change = (element: ViciElement): ViciElement => {
    if (element.kind === 'section') return { ...element, section: renumber(element.section, uniqueId) };
    if (element.kind !== 'value' || element.name !== 'uniqueid') return element;
    return { ...element, value: ViciValue.of(Buffer.from(String(uniqueId))) };
  };
  return new ViciSection(elements.map(change));
}
