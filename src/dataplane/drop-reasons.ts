/** Why the engine drops packets, as an operator who knows xfrm_stat and the RFCs would look for it. */
export type DropReason = {
  /** The engine's counter (native/drops.h). */
  readonly name: string;
  /** The counter in Linux' /proc/net/xfrm_stat that would go up; undefined where Linux counts nothing. */
  readonly xfrm: string | undefined;
  /** Where an RFC calls it an auditable event. */
  readonly audit: string | undefined;
  readonly meaning: string;
};

/** All of them, in the order of native/drops.h. */
export const dropReasons: readonly DropReason[] = [
  {
    name: 'inboundMalformed',
    xfrm: 'XfrmInHdrError',
    audit: undefined,
    meaning: 'Too short for its outer header and an ESP or AH header, or an outer header that is wrong',
  },
  {
    name: 'inboundUnknownSpi',
    xfrm: 'XfrmInNoStates',
    audit: 'RFC 4303, 3.4.2',
    meaning: 'No SA has this SPI and destination',
  },
  {
    name: 'inboundExpired',
    xfrm: 'XfrmInStateExpired',
    audit: undefined,
    meaning: 'The hard lifetime of its SA is over',
  },
  {
    name: 'inboundLength',
    xfrm: 'XfrmInStateProtoError',
    audit: undefined,
    meaning: 'Not of a length that the algorithms of its SA produce',
  },
  {
    name: 'inboundReplayed',
    xfrm: 'XfrmInStateSeqError',
    audit: 'RFC 4303, 3.4.3',
    meaning: 'A sequence number that was seen before, or is older than the replay window',
  },
  {
    name: 'inboundIntegrity',
    xfrm: 'XfrmInStateProtoError',
    audit: 'RFC 4303, 3.4.4',
    meaning: 'The ICV is wrong: forged, damaged, or made with other keys',
  },
  {
    name: 'inboundInner',
    xfrm: 'XfrmInStateModeError',
    audit: undefined,
    meaning: 'What was decrypted is no packet: padding, next header or inner header are wrong',
  },
  {
    name: 'inboundCongestion',
    xfrm: 'XfrmInStateModeError',
    audit: undefined,
    meaning: 'The path marked a packet as congested whose sender knows no ECN (RFC 6040)',
  },
  {
    name: 'inboundSelectors',
    xfrm: 'XfrmInStateMismatch',
    audit: 'RFC 4301, 5.2',
    meaning: 'Not of the traffic selectors of the SA it came on',
  },
  {
    name: 'inboundNoPolicy',
    xfrm: 'XfrmInNoPols',
    audit: 'RFC 4301, 5.2',
    meaning: 'No inbound policy is for it',
  },
  {
    name: 'inboundTemplate',
    xfrm: 'XfrmInTmplMismatch',
    audit: 'RFC 4301, 5.2',
    meaning:
      "The inbound policy for it asks for another SA than it came on, or for none: another tunnel's traffic",
  },
  {
    name: 'inboundDiscarded',
    xfrm: 'XfrmInPolBlock',
    audit: 'RFC 4301, 5.2',
    meaning: 'An inbound DISCARD policy is for it',
  },
  {
    name: 'tunWriteFailed',
    xfrm: 'XfrmInBufferError',
    audit: undefined,
    meaning: 'The TUN device did not take it',
  },
  {
    name: 'outboundMalformed',
    xfrm: 'XfrmOutError',
    audit: undefined,
    meaning: 'No IP packet of a family that is carried',
  },
  {
    name: 'outboundTooLarge',
    xfrm: 'XfrmOutError',
    audit: undefined,
    meaning: 'Does not fit through the tunnel and may not be fragmented; its sender was told, in ICMP',
  },
  {
    name: 'outboundNoPolicy',
    xfrm: 'XfrmOutPolBlock',
    audit: 'RFC 4301, 5.1',
    meaning: 'No outbound policy is for it',
  },
  {
    name: 'outboundDiscarded',
    xfrm: 'XfrmOutPolBlock',
    audit: 'RFC 4301, 5.1',
    meaning: 'An outbound DISCARD policy is for it',
  },
  {
    name: 'outboundNoSa',
    xfrm: 'XfrmOutNoStates',
    audit: undefined,
    meaning: 'The SA its policy names is not there',
  },
  {
    name: 'outboundTrapped',
    xfrm: 'XfrmOutNoStates',
    audit: undefined,
    meaning: 'Its policy is a trap: an SA was asked for',
  },
  {
    name: 'outboundSequence',
    xfrm: 'XfrmOutStateSeqError',
    audit: 'RFC 4303, 3.3.3',
    meaning: 'Its SA has no sequence numbers left',
  },
  {
    name: 'outboundExpired',
    xfrm: 'XfrmOutStateExpired',
    audit: undefined,
    meaning: 'The hard lifetime of its SA is over',
  },
  {
    name: 'outboundFailed',
    xfrm: 'XfrmOutStateProtoError',
    audit: undefined,
    meaning: 'It could not be encrypted',
  },
  {
    name: 'sendTooLarge',
    xfrm: 'XfrmOutError',
    audit: undefined,
    meaning: 'The link to the peer did not take the encrypted packet: it is larger than the path MTU',
  },
  {
    name: 'sendBusy',
    xfrm: 'XfrmOutError',
    audit: undefined,
    meaning: 'The link to the peer was busy',
  },
  {
    name: 'sendFailed',
    xfrm: 'XfrmOutBundleGenError',
    audit: undefined,
    meaning: 'The encrypted packet could not be sent: no route, or a firewall',
  },
];

const byName = new Map(dropReasons.map((reason) => [reason.name, reason]));

export function dropReason(name: string): DropReason | undefined {
  return byName.get(name);
}
