import { ALGORITHMS, type Algorithm } from './algorithm.ts';

/** An IP version. */
export type Family = 4 | 6;

/** One combination of everything two gateways can agree on. */
export type Row = {
  readonly algorithm: Algorithm;
  readonly mode: 'tunnel' | 'transport';
  readonly outer: Family;
  /** In transport mode the outer one. */
  readonly inner: Family;
  readonly encapsulation: 'plain' | 'udp';
  readonly esn: boolean;
};

const MODES = ['tunnel', 'transport'] as const;
const FAMILIES = [4, 6] as const;
const ENCAPSULATIONS = ['plain', 'udp'] as const;

/** The whole product; a transport mode packet has one IP header, so there both families are one. */
export function allRows(): readonly Row[] {
  const rows: Row[] = [];
  for (const algorithm of ALGORITHMS)
    for (const mode of MODES)
      for (const outer of FAMILIES)
        for (const inner of mode === 'tunnel' ? FAMILIES : [outer])
          for (const encapsulation of ENCAPSULATIONS)
            for (const esn of [false, true]) rows.push({ algorithm, mode, outer, inner, encapsulation, esn });
  return rows;
}

/** A row's name, and its CHILD_SA's: `esp-tunnel-6in4-udp-aes128gcm16-esn`. */
export function rowName({ algorithm, mode, outer, inner, encapsulation, esn }: Row): string {
  const { protocol, proposal } = algorithm;
  return `${protocol}-${mode}-${inner}in${outer}-${encapsulation}-${proposal}${esn ? '-esn' : ''}`;
}
