import { deleteSa, type Rig, samplePolicy, sampleSa } from '../../test/vsw/driver/rig.ts';
import type { BenchContext } from '../support/benchmark.ts';
import { makeRow, type Row } from '../support/row.ts';
import { SpiSource, startRouter } from './router.ts';

const INNER = { source: '198.19.1.1', destination: '198.19.2.1' };
/** Packets each way; 20 a second lost 5 of 200 on a real vsw when all was done in one commit. */
const INTERVAL_MS = 10;

type Spis = { readonly inbound: number; readonly outbound: number };

/** Packets both ways through the fake's forwarding cores, while charon's sequence of a rekey is played. */
export async function rekeyLossRow({ isQuick, progress }: BenchContext): Promise<Row> {
  progress('packets lost per rekey');
  await using rig = await startRouter('relay');
  const spis = new SpiSource();
  let current = await establish(rig, spis);
  const values: number[] = [];
  for (let rekey = 0; rekey < (isQuick ? 2 : 8); rekey += 1) {
    const flow = new Flow(rig, current);
    const next = { inbound: spis.take(), outbound: spis.take() };
    await rig.client.must(sampleSa({ direction: 'inbound', spi: next.inbound }));
    await rig.client.must(sampleSa({ direction: 'outbound', spi: next.outbound }));
    // The peer may use what is installed at once.
    flow.peerSpi = next.inbound;
    await putPolicies(rig, next);
    await rig.client.must(deleteSa({ direction: 'outbound', spi: current.outbound }));
    await rig.client.must(deleteSa({ direction: 'inbound', spi: current.inbound }));
    values.push(flow.stop());
    current = next;
  }
  return makeRow({
    name: `lost per rekey at ${1000 / INTERVAL_MS} packets/s each way`,
    unit: 'packets',
    aim: '0',
    values,
  });
}

async function establish(rig: Rig, spis: SpiSource): Promise<Spis> {
  const first = { inbound: spis.take(), outbound: spis.take() };
  await rig.client.must(
    sampleSa({ direction: 'inbound', spi: first.inbound }),
    sampleSa({ direction: 'outbound', spi: first.outbound }),
  );
  await putPolicies(rig, first);
  return first;
}

function putPolicies(rig: Rig, { inbound, outbound }: Spis): Promise<void> {
  return rig.client.must(
    samplePolicy({ direction: 'inbound', spi: inbound }),
    samplePolicy({ direction: 'outbound', spi: outbound }),
  );
}

class Flow {
  peerSpi: number;
  readonly #rig: Rig;
  readonly #timer: NodeJS.Timeout;
  #lost = 0;
  #sequence = 0;

  constructor(rig: Rig, { inbound }: Spis) {
    this.#rig = rig;
    this.peerSpi = inbound;
    this.#timer = setInterval(() => this.#both(), INTERVAL_MS);
  }

  stop(): number {
    clearInterval(this.#timer);
    return this.#lost;
  }

  #both(): void {
    const { vsw } = this.#rig;
    const { forwarding } = vsw.vrf('vrf1');
    if (forwarding.send(INNER).kind !== 'esp') this.#lost += 1;
    const values = vsw.sas().find(({ spi }) => spi === this.peerSpi)?.values;
    const received =
      values &&
      forwarding.receive({
        spi: this.peerSpi,
        sequence: ++this.#sequence,
        source: values.local,
        destination: values.remote,
        key: values.encryptionKey.toString('hex') + values.integrityKey.toString('hex'),
        inner: { source: INNER.destination, destination: INNER.source },
      });
    if (received?.kind !== 'delivered') this.#lost += 1;
  }
}
