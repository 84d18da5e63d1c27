import { AgentError, errorMessage } from '../util/index.ts';
import { malformed } from './malformed.ts';
import { readActualPolicy } from './read-policy.ts';
import { readActualSa, readSaUsage } from './read-sa.ts';
import { type Draft, type Fields, sized, type Texts, varint, WireReader } from './wire-reader.ts';

/** One message of a listing. */
export type ListingChunk<Entry> = {
  readonly entries: readonly Entry[];
  /** Hex. */
  readonly bootId: string;
  readonly isComplete: boolean;
  /** On the server's own clock. */
  readonly listedAtMs: bigint;
};

/** Whose entries are read: a server that lists more than it was asked for does not make others' ours. */
export type ListingReaderOptions = { readonly ownerId: Buffer; readonly texts: Texts };

type ReadEntry<Entry> = (from: WireReader, ownerId: Buffer) => Entry | undefined;

/** A response of ListSas or ListPolicies: both have the same fields around their entries. */
function chunkReader<Entry>(
  readEntry: ReadEntry<Entry>,
): (message: Buffer, options: ListingReaderOptions) => ListingChunk<Entry> {
  type ChunkDraft = Draft<Omit<ListingChunk<Entry>, 'entries'>> & {
    readonly entries: Entry[];
    ownerId: Buffer;
  };
  const fields: Fields<ChunkDraft> = {
    [sized(1)]: ({ entries, ownerId }, from) => {
      const entry = readEntry(from, ownerId);
      if (entry !== undefined) entries.push(entry);
    },
    [sized(3)]: (chunk, from) => {
      chunk.bootId = from.hex();
    },
    [varint(4)]: (chunk, from) => {
      chunk.isComplete = from.bool();
    },
    [varint(5)]: (chunk, from) => {
      chunk.listedAtMs = from.u64();
    },
  };
  return (message, { ownerId, texts }) => {
    const draft: ChunkDraft = { entries: [], ownerId, bootId: '', isComplete: false, listedAtMs: 0n };
    try {
      return new WireReader(message, texts).all(draft, fields);
    } catch (error) {
      // What the reader of the wire format throws.
      if (error instanceof AgentError) throw error;
      throw malformed(errorMessage(error));
    }
  };
}

/** Of ListSas. */
export const readSaChunk = chunkReader(readActualSa);
/** Of ListSas with counters only. */
export const readUsageChunk = chunkReader(readSaUsage);
/** Of ListPolicies. */
export const readPolicyChunk = chunkReader(readActualPolicy);
