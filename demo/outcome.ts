/** What one direction's sender and receiver counted. */
export type FlowCounts = { readonly sent: number; readonly received: number };

export type Outcome = { readonly line: string; readonly status: 0 | 1 };

/** The demo's last line, and its exit status: 0 only when every packet that was sent arrived. */
export function outcomeOf(flows: readonly FlowCounts[], rekeys: number): Outcome {
  const sent = flows.reduce((sum, flow) => sum + flow.sent, 0);
  const received = flows.reduce((sum, flow) => sum + flow.received, 0);
  const lost = sent - received;
  return {
    line: `demo: ${sent} sent, ${received} received, ${rekeys} rekeys, ${lost} lost`,
    status: sent > 0 && lost === 0 ? 0 : 1,
  };
}
