import type { ViciSection } from './section.ts';

/** An algorithm that charon can do, and the plugin that does it. */
export type LoadedAlgorithm = {
  /** encryption, integrity, aead, hasher, prf ...; key exchanges are `dh` before 6.0 and `ke` since. */
  readonly type: string;
  readonly name: string;
  readonly plugin: string;
};

/** Parses the reply to get-algorithms. */
export function parseAlgorithms(reply: ViciSection): readonly LoadedAlgorithm[] {
  const algorithms: LoadedAlgorithm[] = [];
  for (const { name: type, section } of reply.sections()) {
    for (const element of section.elements) {
      if (element.kind !== 'value') continue;
      algorithms.push({ type, name: element.name, plugin: element.value.text });
    }
  }
  return algorithms;
}
