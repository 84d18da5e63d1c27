/**
 * agent: wires charon's side and the dataplane's side to the engine, and answers the
 * command line on its control socket.
 *
 *     keyfeed ─ CharonLink ─┐             ┌─ lagopus ─► dataplane
 *     vici ─── followCharon ┼─ SyncEngine ┤
 *     cli ─── control socket┘             └─ status, sad, diff, explain
 *
 * Invariants: only this folder knows concrete classes of every part; types of the key
 * feed and of VICI end here. A failed part that is not expected to fail ends the agent.
 */
export { runAgent } from './agent.ts';
export {
  type AgentConfig,
  agentConfigSchema,
  DEFAULT_AGENT_CONFIG_PATH,
  DEFAULT_CONTROL_SOCKET,
  loadYamlConfig,
} from './config.ts';
export { askAgent } from './control-client.ts';
export { startMetricsServer } from './metrics-server.ts';
export type {
  DiffEntry,
  DiffReport,
  ExplainReport,
  LinkReport,
  PlanReport,
  PolicyEntry,
  SadEntry,
  SadReport,
  SaExplanation,
  ScopeReport,
  StatusReport,
  TotalsReport,
} from './reports.ts';
export type { RunAgentOptions } from './run-options.ts';
export { parseSpi } from './spi-text.ts';
