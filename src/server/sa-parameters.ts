import { Sa } from '../proto/index.ts';

/** What of an SA must be the same for a second add to be a repetition: not its state, and not times. */
function parameters(sa: Sa): Sa {
  return {
    ...sa,
    softLifetime: undefined,
    hardLifetime: undefined,
    initialSequence: 0n,
    replayState: undefined,
    requiredFeatures: [],
  };
}

/** Names of the parameters in which two SAs without keys differ. */
export function differingFields(a: Sa, b: Sa): readonly string[] {
  const [x, y] = [a, b].map((sa) => new Map(Object.entries(Object(Sa.toJSON(parameters(sa))))));
  const names = new Set([...(x?.keys() ?? []), ...(y?.keys() ?? [])]);
  return [...names].filter((name) => JSON.stringify(x?.get(name)) !== JSON.stringify(y?.get(name)));
}
