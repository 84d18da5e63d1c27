import { MalformedError } from '../util/index.ts';
import type { CodeTable } from './wire.ts';

/** Makes a function from a frame's first byte to the name of its type. */
export function kindOf<const Kind extends string>(
  types: CodeTable<Kind>,
  sender: string,
): (frame: Uint8Array, offset: number) => Kind {
  const kinds = new Map<number | undefined, Kind>();
  for (const kind in types) kinds.set(types[kind], kind);
  return (frame, offset) => {
    const kind = kinds.get(frame[0]);
    if (kind === undefined) throw new MalformedError(`${sender} sent a frame of type ${frame[0]}`, offset);
    return kind;
  };
}
