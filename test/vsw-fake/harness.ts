import { FakeClock } from '../support/fake-clock.ts';
import { FakeOpenconfigd, type OpenconfigdOptions } from '../support/fake-lagopus/openconfigd.ts';
import { routerConfig } from '../support/fake-lagopus/router-samples.ts';
import { FakeVsw, type VswOptions } from '../support/fake-lagopus/vsw.ts';
import { eventually } from '../support/index.ts';

/** A router whose clock stands still and which ticks when a test says so. */
export class Router implements AsyncDisposable {
  readonly clock: FakeClock;
  readonly openconfigd: FakeOpenconfigd;
  readonly vsw: FakeVsw;

  private constructor(clock: FakeClock, openconfigd: FakeOpenconfigd, vsw: FakeVsw) {
    this.clock = clock;
    this.openconfigd = openconfigd;
    this.vsw = vsw;
  }

  static async start(
    options: Omit<OpenconfigdOptions, 'clock'> &
      Partial<VswOptions> & { readonly vrfs?: readonly string[] } = {},
  ): Promise<Router> {
    const clock = new FakeClock();
    const config = options.config ?? routerConfig(...(options.vrfs ?? ['vrf1']));
    // 0.8.1 does not wait for API_CALL_FINISHED, which vsw never sends.
    const openconfigd = await FakeOpenconfigd.start({ release: '0.8.1', ...options, config, clock });
    const numbering = openconfigd.release === '0.8.3' ? '0.8.3' : '0.8.2';
    const vsw = await FakeVsw.start({ server: openconfigd.address, numbering, tickMs: 0, ...options, clock });
    const router = new Router(clock, openconfigd, vsw);
    if (openconfigd.release !== '0.8.2' && openconfigd.release !== '0.8.3') {
      await router.commits(config.length === 0 ? 0 : 2);
    }
    return router;
  }

  /** Waits until vsw has applied so many COMMITs since it booted. */
  async commits(count: number): Promise<void> {
    await eventually(`${count} COMMITs`, () => this.vsw.commitCount >= count, { timeoutMs: 5_000 });
  }

  /** The operator's lines in one commit, applied by vsw; then a tick, unless told otherwise. */
  async operate(lines: readonly string[], { ticks = 1 }: { readonly ticks?: number } = {}): Promise<string> {
    const before = this.vsw.commitCount;
    const reply = await this.openconfigd.operate(lines);
    if (reply === '') await this.commits(before + 1);
    for (let at = 0; at < ticks; at++) this.vsw.tick();
    return reply;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.vsw[Symbol.asyncDispose]();
    await this.openconfigd[Symbol.asyncDispose]();
  }
}
