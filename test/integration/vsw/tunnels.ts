import { CommandError } from '../../support/command.ts';
import { CHILD_NAME, loadTunnel, type Settings, type Tunnel, tunnelEnd } from '../../support/index.ts';
import type { RouterGateway } from '../../support/router-gateway.ts';
import { mergeSettings } from '../../support/settings.ts';
import { assertCharonsKeys, type RouterPair } from './router-pair.ts';

/** What a Lagopus router does not have, and charon asks for by default. */
export const ROUTER_CHILD: Settings = { replay_window: 0, copy_df: false, copy_ecn: false, copy_dscp: false };

export type RouterTunnel = Omit<Tunnel, 'left' | 'right'> & {
  /** On top of one end's connection section. */
  readonly connections?: { readonly left: Settings; readonly right: Settings };
};

/** Loads a tunnel that the routers can carry on both ends. */
export async function loadRouterTunnel(
  { left, right }: RouterPair,
  tunnel: RouterTunnel = {},
): Promise<void> {
  const { connections, ...rest } = tunnel;
  const child = mergeSettings(ROUTER_CHILD, tunnel.child ?? {});
  await loadTunnel(
    {
      ...rest,
      child,
      left: { ...tunnelEnd(left.site), connection: connections?.left ?? {} },
      right: { ...tunnelEnd(right.site), connection: connections?.right ?? {} },
    },
    left.charon.swanctl,
    right.charon.swanctl,
  );
}

/**
 * One in 64 finds the slot of its SPI taken at one end: that end's agent has it initiated again. Whether it
 * came up is for the caller to see.
 */
export async function initiate(from: RouterGateway, child = CHILD_NAME): Promise<void> {
  try {
    await from.charon.swanctl.initiate(child);
  } catch (error) {
    if (!(error instanceof CommandError && error.message.includes('failed to establish CHILD_SA')))
      throw error;
  }
}

/** Loads it, has the left end initiate, and waits until both routers have charon's keys. */
export async function establishRouterTunnel(pair: RouterPair, tunnel: RouterTunnel = {}): Promise<void> {
  await loadRouterTunnel(pair, tunnel);
  await initiate(pair.left);
  await assertCharonsKeys(pair, 1);
}
