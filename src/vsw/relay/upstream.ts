import type { Change, Path } from './changes.ts';
import type { RegisterModule } from './messages.ts';

/** Whoever vsw's configuration comes from. Everything it says is told in transactions. */
export type Upstream = AsyncDisposable & {
  /** vsw's; answered by a transaction with everything below the path, each time the upstream comes back. */
  readonly subscribe: (module: string, path: Path) => void;
  /** vsw's verdict on a `validate` transaction. */
  readonly answer: (module: string, type: number) => void;
  /** Undefined when nobody could be asked. */
  readonly register: (call: RegisterCall) => Promise<Buffer | undefined>;
  readonly status: UpstreamStatus;
};

/** A call of vsw's on the service Register. */
export type RegisterCall =
  | { readonly kind: 'command'; readonly request: Buffer }
  | { readonly kind: 'module'; readonly request: RegisterModule };

export type UpstreamStatus =
  | { readonly kind: 'file'; readonly path: string; readonly reason: string | undefined }
  | { readonly kind: 'connected'; readonly target: string }
  | { readonly kind: 'lost'; readonly target: string; readonly reason: string };

/** What is told of an upstream. */
export type UpstreamEvents = {
  /** Everything below a path, from an upstream that is new or came back. */
  readonly onListing: (path: Path, changes: readonly Change[]) => void;
  /** What changed since. */
  readonly onChanges: (changes: readonly Change[]) => void;
  readonly onValidate: (changes: readonly Change[]) => void;
};
