/** What became of one row with one peer. */
export type Outcome =
  | {
      readonly kind: 'passed';
      /** ESP or AH packets, as both ends and the wire count them. */
      readonly packetsOut: number;
      readonly packetsIn: number;
      /** Datagrams that had to be sent again. */
      readonly repeats: number;
    }
  /** Our dataplane does not do it, says so in GetCapabilities, and refused the SA in IKE. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Nobody could: not tried. */
  | { readonly kind: 'impossible'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

/** Why a cell does not pass, of something that was found out while it ran. */
export class CellFailure extends Error {}
