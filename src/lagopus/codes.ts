import {
  Direction as ProtoDirection,
  DscpCopy as ProtoDscpCopy,
  Mode as ProtoMode,
  Protocol as ProtoProtocol,
} from '../proto/index.ts';
import type { Direction, DscpCopy, IpsecMode, IpsecProtocol } from '../sad/index.ts';
import { malformed } from './malformed.ts';

/** A word of the domain and its number in the contract, both ways. */
type Code<Word extends string, Value extends number> = {
  readonly encode: (word: Word) => Value;
  readonly decode: (value: number) => Word;
};

function codeOf<const Word extends string, const Value extends number>(
  what: string,
  table: Readonly<Record<Word, Value>>,
): Code<Word, Value> {
  const words = new Map<number, Word>();
  for (const word in table) words.set(table[word], word);
  return {
    encode: (word) => table[word],
    decode: (value) => {
      const word = words.get(value);
      if (word === undefined) throw malformed(`${value} is no ${what}`);
      return word;
    },
  };
}

export const direction: Code<Direction, ProtoDirection> = codeOf('direction', {
  inbound: ProtoDirection.DIRECTION_INBOUND,
  outbound: ProtoDirection.DIRECTION_OUTBOUND,
});

export const protocol: Code<IpsecProtocol, ProtoProtocol> = codeOf('IPsec protocol', {
  esp: ProtoProtocol.PROTOCOL_ESP,
  ah: ProtoProtocol.PROTOCOL_AH,
});

export const mode: Code<IpsecMode, ProtoMode> = codeOf('IPsec mode', {
  transport: ProtoMode.MODE_TRANSPORT,
  tunnel: ProtoMode.MODE_TUNNEL,
  beet: ProtoMode.MODE_BEET,
});

export const dscpCopy: Code<DscpCopy, ProtoDscpCopy> = codeOf('way to copy the DSCP', {
  'out-only': ProtoDscpCopy.DSCP_COPY_OUT_ONLY,
  'in-only': ProtoDscpCopy.DSCP_COPY_IN_ONLY,
  yes: ProtoDscpCopy.DSCP_COPY_YES,
  no: ProtoDscpCopy.DSCP_COPY_NO,
});
