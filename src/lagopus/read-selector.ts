import type { Mark, TrafficSelector, UdpEncapsulation } from '../sad/index.ts';
import { malformed } from './malformed.ts';
import { type Draft, type Fields, sized, varint, type WireReader } from './wire-reader.ts';

const ADDRESS: Fields<{ text: string }> = {
  [sized(1)]: (draft, from) => {
    draft.text = from.address();
  },
};

export function readAddress(from: WireReader): string {
  const { text } = from.message({ text: '' }, ADDRESS);
  if (text === '') throw malformed('no address');
  return text;
}

const MARK: Fields<Draft<Mark>> = {
  [varint(1)]: (mark, from) => {
    mark.value = from.u32();
  },
  [varint(2)]: (mark, from) => {
    mark.mask = from.u32();
  },
};

export function readMark(from: WireReader): Mark {
  return from.message({ value: 0, mask: 0 }, MARK);
}

const ENCAPSULATION: Fields<Draft<UdpEncapsulation>> = {
  [varint(1)]: (udp, from) => {
    udp.sourcePort = from.u32();
  },
  [varint(2)]: (udp, from) => {
    udp.destinationPort = from.u32();
  },
};

export function readEncapsulation(from: WireReader): UdpEncapsulation {
  return from.message({ sourcePort: 0, destinationPort: 0 }, ENCAPSULATION);
}

type SelectorDraft = Omit<Draft<TrafficSelector>, 'ports'> & { ports: { first: number; last: number } };

const ADDRESSES: Fields<SelectorDraft> = {
  [sized(1)]: (selector, from) => {
    selector.firstAddress = readAddress(from);
  },
  [sized(2)]: (selector, from) => {
    selector.lastAddress = readAddress(from);
  },
};

const PORTS: Fields<SelectorDraft['ports']> = {
  [varint(1)]: (ports, from) => {
    ports.first = from.u32();
  },
  [varint(2)]: (ports, from) => {
    ports.last = from.u32();
  },
};

const SELECTOR: Fields<SelectorDraft> = {
  [sized(1)]: (selector, from) => {
    from.message(selector, ADDRESSES);
  },
  [sized(2)]: ({ ports }, from) => {
    from.message(ports, PORTS);
  },
  [varint(3)]: (selector, from) => {
    selector.protocol = from.u32();
  },
};

export function readSelector(from: WireReader): TrafficSelector {
  const draft: SelectorDraft = {
    firstAddress: '',
    lastAddress: '',
    protocol: 0,
    ports: { first: 0, last: 0 },
  };
  from.message(draft, SELECTOR);
  if (draft.firstAddress === '' || draft.lastAddress === '')
    throw malformed('a traffic selector without addresses');
  return draft;
}
