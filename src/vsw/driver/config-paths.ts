import { createHash } from 'node:crypto';
import type { SecretBytes } from '../../util/index.ts';
import type { Change } from '../relay/index.ts';
import { formatIpv4 } from './address.ts';
import { ENCR_AES_GCM_16 } from './algorithms.ts';
import { describePolicy, type PolicyName, type PolicyRequest, upperProtocols } from './policy-request.ts';
import type { SaRequest } from './sa-request.ts';

/** A policy that discards names an SA nobody can have: vsw takes no policy without one. */
const NO_SA = 1;
const NAME_PREFIX = 'ipsec-agent-';
const NAME_BYTES = 8;

function ipsec(vrf: string): readonly string[] {
  return ['network-instances', 'network-instance', vrf, 'security', 'ipsec'];
}

function saEntry({ vrf, name }: Pick<SaRequest, 'vrf' | 'name'>): readonly string[] {
  return [...ipsec(vrf), 'sad', 'sad-entries', String(name.spi)];
}

/** vsw finds policies by name alone, over all VRFs; the prefix keeps clear of the operator's. */
export function policyEntryName(name: PolicyName): string {
  const digest = createHash('sha256').update(describePolicy(name)).digest('hex');
  return NAME_PREFIX + digest.slice(0, 2 * NAME_BYTES);
}

function policyEntry(name: PolicyName): readonly string[] {
  return [...ipsec(name.vrf), 'spd', 'spd-entries', policyEntryName(name)];
}

function hex(key: SecretBytes): string {
  return key.reveal((bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex'));
}

/**
 * A whole SA: one that is committed in two steps is never installed. `local-peer` is the outer source,
 * the remote gateway's for an inbound SA.
 */
export function setSa(sa: SaRequest): readonly Change[] {
  const base = [...saEntry(sa), 'config'];
  const set = (...words: readonly string[]): Change => ({ kind: 'set', path: [...base, ...words] });
  const isGcm = sa.encryption === ENCR_AES_GCM_16;
  return [
    set('sa-mode', 'tunnel'),
    ...(sa.hardSeconds === 0 ? [] : [set('life-time', 'life-time-in-seconds', String(sa.hardSeconds))]),
    set('local-peer', 'ipv4-address', formatIpv4(sa.source)),
    set('remote-peer', 'ipv4-address', formatIpv4(sa.name.destination)),
    set('esp', 'encryption', isGcm ? 'aes-128-gcm' : 'aes-128-cbc', 'key-str', hex(sa.encryptionKey)),
    ...(isGcm ? [] : [set('esp', 'authentication', 'hmac-sha1-96', 'key-str', hex(sa.integrityKey))]),
    ...(sa.udp === undefined
      ? []
      : [
          set('encap-protocol', 'udp'),
          set('encap-src-port', String(sa.udp.sourcePort)),
          set('encap-dst-port', String(sa.udp.destinationPort)),
        ]),
  ];
}

export function deleteSa(sa: Pick<SaRequest, 'vrf' | 'name'>): readonly Change[] {
  return [{ kind: 'delete', path: saEntry(sa) }];
}

type PolicyEntry = Pick<PolicyRequest, 'name' | 'act' | 'priority'>;

function spiOf({ act }: PolicyEntry): string {
  return String(act.kind === 'protect' ? act.spi : NO_SA);
}

/** A whole policy. */
export function setPolicy(policy: PolicyEntry): readonly Change[] {
  const { name, act, priority } = policy;
  const base = [...policyEntry(name), 'config'];
  const set = (...words: readonly string[]): Change => ({ kind: 'set', path: [...base, ...words] });
  const side = (word: string, { address, prefixLength, port }: PolicyName['source']): readonly Change[] => [
    set(word, 'ipv4-address', formatIpv4(address)),
    set(word, 'prefix-length', String(prefixLength)),
    ...(port === 0 ? [] : [set(word, 'port-number', String(port))]),
  ];
  return [
    set('spi', spiOf(policy)),
    set('direction', name.direction),
    set('priority', String(priority)),
    set('policy', act.kind),
    set('security-protocol', 'esp'),
    set('upper-protocol', upperProtocols.get(name.protocol) ?? 'any'),
    ...side('source-address', name.source),
    ...side('destination-address', name.destination),
  ];
}

/** What differs between two of one name; one leaf alone works on a live entry. */
export function changePolicy(from: PolicyEntry, to: PolicyEntry): readonly Change[] {
  const before = new Set(setPolicy(from).map(({ path }) => JSON.stringify(path)));
  return setPolicy(to).filter(({ path }) => !before.has(JSON.stringify(path)));
}

export function deletePolicy(name: PolicyName): readonly Change[] {
  return [{ kind: 'delete', path: policyEntry(name) }];
}
