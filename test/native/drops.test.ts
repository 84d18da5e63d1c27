import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { dropReasons } from '../../src/dataplane/drop-reasons.ts';
import { EspResult, FlowAction, type NativeCallbacks } from '../../src/dataplane/native.ts';
import { gcm128 } from '../dataplane/samples.ts';
import { inRepository } from '../support/index.ts';
import { engineLab, INNER_LEFT, INNER_RIGHT, LEFT, nativeSa, oneAddress, RIGHT } from './engine-lab.ts';
import { alignmentOf, ipv4, sealReference, udp, withTrailer } from './esp-reference.ts';

const ESP = 50;
const UDP = 17;

const inner = ipv4({
  source: INNER_LEFT,
  destination: INNER_RIGHT,
  protocol: UDP,
  payload: udp(1, 2, randomBytes(20)),
});

function verdict(action: FlowAction): NativeCallbacks['classify'] {
  return () => Uint32Array.of(action, 0, 0);
}

/** An inbound SA, what its peer sends, and what is counted and told of it. */
function lab(overrides: Parameters<typeof nativeSa>[1] = {}, classify?: NativeCallbacks['classify']) {
  const { engine, drops } = engineLab(classify);
  const sa = nativeSa(gcm128, { isInbound: true, ...overrides });
  engine.addSa(sa);
  const keys = {
    ...sa,
    encryptionKey: Buffer.from(sa.encryptionKey),
    integrityKey: Buffer.from(sa.integrityKey),
  };
  const packet = (sequence: number, text = withTrailer(inner, alignmentOf(keys))): Buffer => {
    const payload = sealReference(keys, { sequence, iv: randomBytes(8), text });
    return ipv4({ source: sa.source, destination: sa.destination, protocol: ESP, payload });
  };
  const counted = (): Record<string, bigint> =>
    Object.fromEntries(
      Object.entries(engine.statistics()).filter(
        ([name, value]) => value !== 0n && dropReasons.some((reason) => reason.name === name),
      ),
    );
  return { engine, drops, sa, packet, counted };
}

describe('drop reasons', () => {
  it('are those the engine counts, in its order, each with a meaning of its own', () => {
    const { engine } = engineLab();
    const counters = Object.keys(engine.statistics());
    const names = dropReasons.map(({ name }) => name);
    assert.deepEqual(counters.slice(-names.length), names);
    assert.equal(new Set(names).size, names.length);
    // What is left counts traffic.
    assert.deepEqual(counters.slice(0, -names.length), [
      ...['tunPacketsRead', 'tunPacketsWritten', 'outerPacketsReceived', 'outerPacketsSent'],
      ...['bypassed', 'icmpTooBigSent', 'inboundDummy', 'tapPacketsWritten', 'tapWritesFailed'],
    ]);
  });

  it('are in the documentation as they are here', () => {
    const page = readFileSync(inRepository('docs', 'design', 'dataplane.md'), 'utf8');
    for (const { name, xfrm = '', audit = '', meaning } of dropReasons) {
      const row = `| ${name} | ${xfrm} | ${audit} | ${meaning} |`;
      assert.ok(page.includes(row), `docs/design/dataplane.md lacks: ${row}`);
    }
  });

  it('are counted one by one on the way in', () => {
    const cases: readonly { reason: string; result: number; run: () => ReturnType<typeof decapsulated> }[] = [
      {
        reason: 'inboundMalformed',
        result: EspResult.malformed,
        run: () => decapsulated(lab(), Buffer.alloc(24)),
      },
      {
        reason: 'inboundUnknownSpi',
        result: EspResult.malformed,
        run: () => {
          const it = lab();
          const other = it.packet(1);
          other.writeUInt32BE(0xdeadbeef, 20);
          return decapsulated(it, other);
        },
      },
      {
        reason: 'inboundLength',
        result: EspResult.malformed,
        run: () => {
          const it = lab();
          const short = it.packet(1).subarray(0, -1);
          short.writeUInt16BE(short.length, 2);
          return decapsulated(it, short);
        },
      },
      {
        reason: 'inboundReplayed',
        result: EspResult.replayed,
        run: () => {
          const it = lab();
          it.engine.decapsulate(it.packet(1));
          return decapsulated(it, it.packet(1));
        },
      },
      {
        reason: 'inboundIntegrity',
        result: EspResult.integrity,
        run: () => {
          const it = lab();
          const forged = it.packet(1);
          forged[40] = (forged[40] ?? 0) ^ 1;
          return decapsulated(it, forged);
        },
      },
      {
        reason: 'inboundInner',
        result: EspResult.inner,
        run: () => {
          const it = lab();
          return decapsulated(it, it.packet(1, withTrailer(inner, 4, 6)));
        },
      },
      {
        reason: 'inboundExpired',
        result: EspResult.expired,
        run: () => {
          const it = lab({ hardPackets: 1n });
          it.engine.decapsulate(it.packet(1));
          return decapsulated(it, it.packet(2));
        },
      },
      {
        reason: 'inboundSelectors',
        result: EspResult.selectors,
        run: () => decapsulatedFirst({ sourceSelectors: oneAddress(INNER_RIGHT) }),
      },
      ...(
        [
          ['inboundNoPolicy', FlowAction.drop],
          ['inboundTemplate', FlowAction.mismatch],
          ['inboundDiscarded', FlowAction.discard],
        ] as const
      ).map(([reason, action]) => ({
        reason,
        result: EspResult.policy,
        run: () => decapsulatedFirst({}, verdict(action)),
      })),
    ];
    for (const { reason, result, run } of cases) {
      const outcome = run();
      assert.equal(outcome.result, result, reason);
      assert.deepEqual(outcome.counted, { [reason]: 1n }, reason);
    }
  });

  it('are told with SPI, sequence number and addresses, once a second with how many were left out', async () => {
    const { engine, drops, sa, packet } = lab();
    for (const sequence of [1, 1, 1, 1, 2, 2]) engine.decapsulate(packet(sequence));
    const told = { reason: 'inboundReplayed', spi: sa.spi, source: LEFT, destination: RIGHT };
    assert.deepEqual(drops, [{ ...told, leftOut: 0n, sequence: 1 }]);
    await sleep(1_100);
    engine.decapsulate(packet(2));
    assert.deepEqual(drops.slice(1), [{ ...told, leftOut: 3n, sequence: 2 }]);
  });
});

function decapsulated(
  { engine, counted }: ReturnType<typeof lab>,
  packet: Buffer,
): { readonly result: Buffer | number; readonly counted: Record<string, bigint> } {
  return { result: engine.decapsulate(packet), counted: counted() };
}

function decapsulatedFirst(...options: Parameters<typeof lab>): ReturnType<typeof decapsulated> {
  const it = lab(...options);
  return decapsulated(it, it.packet(1));
}
