import { FieldReader } from './field-reader.ts';
import type { ViciSection } from './section.ts';

/** A line of charon's log. */
export type LogMessage = {
  /** IKE, CFG, KNL ... */
  readonly group: string;
  readonly level: number;
  /** Not in a control log. */
  readonly thread: number | undefined;
  readonly ikeName: string | undefined;
  readonly ikeId: number | undefined;
  readonly text: string;
};

/** Levels that hold no keys; 4 does. */
export type LogLevel = 0 | 1 | 2 | 3;

/** Parses a log or control-log event; throws AgentError `malformed`. */
export function parseLogMessage(message: ViciSection): LogMessage {
  const fields = new FieldReader(message, 'log');
  return {
    group: fields.text('group'),
    level: fields.number('level'),
    thread: fields.optionalNumber('thread'),
    ikeName: fields.optionalText('ikesa-name'),
    ikeId: fields.optionalNumber('ikesa-uniqueid'),
    text: fields.text('msg'),
  };
}
