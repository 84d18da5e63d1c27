import { AgentError } from '../util/index.ts';

/** Where charon's VICI socket is. */
export type ViciAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** Parses `unix:///run/charon.vici` or `tcp://host:port`; throws `invalid-input`. */
export function parseViciUri(uri: string): ViciAddress {
  const unix = /^unix:\/\/(\/.+)$/.exec(uri);
  if (unix?.[1] !== undefined) return { kind: 'unix', path: unix[1] };
  const tcp = /^tcp:\/\/(?:\[([0-9a-fA-F:.]+)\]|([^:/[\]]+)):(\d{1,5})$/.exec(uri);
  const host = tcp?.[1] ?? tcp?.[2];
  const port = Number(tcp?.[3]);
  if (host !== undefined && port > 0 && port <= 0xffff) return { kind: 'tcp', host, port };
  throw new AgentError(`VICI URI "${uri}": expected unix:///path or tcp://host:port`, {
    code: 'invalid-input',
  });
}
