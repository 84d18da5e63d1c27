/** An SA as the Linux kernel tells it; keys are hex digits. */
export type XfrmSa = {
  readonly source: string;
  readonly destination: string;
  readonly spi: number;
  readonly isEncapsulated: boolean;
  /** Empty for the placeholder of an SPI that is only reserved. */
  readonly encryptionKey: string;
  readonly integrityKey: string;
  readonly bytes: number;
  readonly packets: number;
  /** Packets it dropped: outside the replay window, seen before, and with a wrong ICV. */
  readonly replayDrops: number;
  readonly integrityFailures: number;
};

/** Reads `ip -s xfrm state`. */
export function parseXfrmState(text: string): XfrmSa[] {
  return text
    .split(/^(?=src )/m)
    .filter((block) => block.startsWith('src '))
    .map((block) => {
      const field = (pattern: RegExp): string => pattern.exec(block)?.[1] ?? '';
      return {
        source: field(/^src (\S+)/),
        destination: field(/^src \S+ dst (\S+)/),
        spi: Number.parseInt(field(/spi (0x[0-9a-f]+)/), 16),
        isEncapsulated: /encap type espinudp/.test(block),
        encryptionKey: field(/(?:enc|aead) \S+ 0x([0-9a-f]+)/),
        integrityKey: field(/auth(?:-trunc)? \S+ 0x([0-9a-f]+)/),
        bytes: Number(field(/lifetime current:\s+(\d+)\(bytes\)/)),
        packets: Number(field(/(\d+)\(packets\)/)),
        replayDrops: Number(field(/stats:\s+replay-window (\d+)/)) + Number(field(/replay (\d+) failed/)),
        integrityFailures: Number(field(/replay \d+ failed (\d+)/)),
      };
    });
}
