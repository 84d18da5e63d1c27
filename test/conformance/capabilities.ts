import { Feature, type GetCapabilitiesResponse, Mode, Protocol } from '../../src/proto/index.ts';
import type { Row } from './row.ts';

/** What a row needs and our dataplane says it lacks; when empty, the row has to work. */
export function lacking(row: Row, told: GetCapabilitiesResponse): readonly string[] {
  const { algorithm, mode, outer, inner, encapsulation, esn } = row;
  const { protocol, encryption, integrity } = algorithm;
  const has = (list: GetCapabilitiesResponse['encryption'], id: number, bits: number): boolean =>
    list.some((known) => known.id === id && known.keyBits.includes(bits));
  const needs: readonly (readonly [string, boolean])[] = [
    ['AH', protocol !== 'ah' || told.protocols.includes(Protocol.PROTOCOL_AH)],
    ['transport mode', mode !== 'transport' || told.modes.includes(Mode.MODE_TRANSPORT)],
    ['IPv6 outside', outer === 4 || told.features.includes(Feature.FEATURE_IPV6_OUTER)],
    ['IPv6 inside', inner === 4 || told.features.includes(Feature.FEATURE_IPV6_INNER)],
    [
      'UDP encapsulation',
      encapsulation === 'plain' || told.features.includes(Feature.FEATURE_UDP_ENCAPSULATION),
    ],
    ['ESN', !esn || told.features.includes(Feature.FEATURE_ESN)],
    [
      `${encryption?.charonName}-${encryption?.keyBits}`,
      encryption === undefined || has(told.encryption, encryption.id, encryption.keyBits),
    ],
    [
      `${integrity?.charonName}`,
      integrity === undefined || has(told.integrity, integrity.id, integrity.keyBits),
    ],
  ];
  return needs.filter(([, isThere]) => !isThere).map(([name]) => name);
}
