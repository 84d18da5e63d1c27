/**
 * The lab: real daemons in network namespaces of a test's own, as AsyncDisposable resources.
 *
 *     await using lab = await Lab.create();
 *     const { left, right } = await lab.pair();
 *
 * Invariants: whatever is started ends with its owner, by process id or by a name that holds this
 * process's id; also when the test fails, is interrupted, or (at the next lab) was killed outright.
 * Every wait has a deadline.
 */
export { CharonDaemon, type CharonOptions } from './charon-daemon.ts';
export type { CharonBackend, LogLevels } from './charon-settings.ts';
export { type Argv, CommandError, type CommandHost, type CommandResult, command } from './command.ts';
export { TestCa } from './credentials.ts';
export { eventually } from './eventually.ts';
export { onExit } from './exit-hooks.ts';
export { FakeGateway } from './fake-gateway.ts';
export { FeedRelay } from './feed-relay.ts';
export { fillDataplane } from './fill-dataplane.ts';
export { Gateway, type GatewayOptions, type GatewayPart } from './gateway.ts';
export {
  assertSettled,
  DrillsFile,
  type GatewayPair,
  type InstallStep,
  logsDuring,
  startGatewayPair,
  startRelayedPair,
} from './gateway-pair.ts';
export { isListening } from './is-listening.ts';
export { keyForms } from './key-forms.ts';
export { type GuestSite, Lab, type Router, type Site, sweepLabs } from './lab.ts';
export { ManagedProcess, type ManagedProcessOptions, type ProcessExit } from './managed-process.ts';
export { NetNamespace } from './net-namespace.ts';
export {
  type FlowOptions,
  type FlowReport,
  type PacketEnd,
  PacketFlow,
  type ReceivedCounts,
  receivedSchema,
  type SentCounts,
  sentSchema,
} from './packets.ts';
export {
  gatewayPeer,
  type HeldSpis,
  type KernelPeer,
  type Peer,
  type PeerOptions,
  startGatewayPeer,
  startKernelPeer,
  startLibipsecPeer,
} from './peer.ts';
export { countInMemory, findProcess, residentKib } from './process-memory.ts';
export { AgentProcess, DataplaneProcess, type Launcher, type LogLevel } from './product-processes.ts';
export { type ChildSaLister, ikeSas, rekeyChild, rekeyIke, replacingChildSa } from './rekey.ts';
export { diffOf, sadOf, statusOf } from './reports.ts';
export { inRepository, ROOT } from './repository.ts';
export { ScaleRig } from './scale-rig.ts';
export {
  assertCarriesPackets,
  assertSameSas,
  establish,
  loadSceneTunnel,
  type PeerKind,
  type Scene,
  type SceneOptions,
  type SceneTunnel,
  startScene,
  Traffic,
  type TrafficOptions,
} from './scene.ts';
export { formatSettings, mergeSettings, type Settings } from './settings.ts';
export { SocketRelay } from './socket-relay.ts';
export { type ListedChildSa, parseChildSas, Swanctl } from './swanctl.ts';
export { TempDir } from './temp-dir.ts';
export {
  CHILD_NAME,
  IKE_NAME,
  loadTunnel,
  type Tunnel,
  type TunnelEnd,
  tunnelEnd,
  tunnelSettings,
} from './tunnel.ts';
export { UmlGuest } from './uml-guest.ts';
export { parseXfrmState, type XfrmSa } from './xfrm-state.ts';
