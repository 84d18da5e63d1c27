import { Feature, type Mark, ResultCode } from '../proto/index.ts';
import { featureName, Refusal } from '../server/index.ts';

/** The part of the traffic an SA or policy is for; packets are in it by their TUN device. */
export type Scope = {
  /** Empty: the one of the device `tun`. */
  readonly vrf: string;
  /** 0 is none. */
  readonly ifId: number;
  readonly mark: Mark | undefined;
};

/** A TUN device and the scope of its packets. */
export type ScopedDevice = { readonly name: string; readonly scope: Scope };

/** Where a device stands in the engine; 0 is the one without a scope. */
export type DeviceIndex = number;

export const noScope: Scope = { vrf: '', ifId: 0, mark: undefined };

/** A mark without a mask is none. */
export function parseMark(mark: Mark | undefined): Mark | undefined {
  if (mark === undefined || mark.mask === 0) return undefined;
  return { value: (mark.value & mark.mask) >>> 0, mask: mark.mask };
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** "VRF blue, if_id 5, mark 0x2a/0xff"; empty for no scope. */
export function describeScope({ vrf, ifId, mark }: Scope): string {
  const parts = [
    vrf === '' ? undefined : `VRF ${vrf}`,
    ifId === 0 ? undefined : `if_id ${ifId}`,
    mark === undefined ? undefined : `mark ${hex(mark.value)}/${hex(mark.mask)}`,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

/** A scope as one string; two are equal when their scopes are. */
export function scopeKey({ vrf, ifId, mark }: Scope): string {
  return `${ifId} ${mark?.value ?? 0}/${mark?.mask ?? 0} ${JSON.stringify(vrf)}`;
}

/** The entry of `tunDevices` that would serve a scope, in YAML. */
function entryFor({ vrf, ifId, mark }: Scope): string {
  const parts = [
    'name: NAME',
    vrf === '' ? undefined : `vrf: ${vrf}`,
    ifId === 0 ? undefined : `ifId: ${ifId}`,
    mark === undefined ? undefined : `mark: { value: ${hex(mark.value)}, mask: ${hex(mark.mask)} }`,
  ];
  return `{ ${parts.filter((part) => part !== undefined).join(', ')} }`;
}

function featureOf({ vrf, ifId }: Scope): Feature {
  if (vrf !== '') return Feature.FEATURE_VRF;
  return ifId === 0 ? Feature.FEATURE_MARK : Feature.FEATURE_IF_ID;
}

/**
 * Outside any VRF a device serves exactly its if_id and mark. In a VRF it may leave out either, and then
 * serves what no closer one does.
 */
function candidates(scope: Scope): readonly Scope[] {
  const { vrf, ifId, mark } = scope;
  if (vrf === '') return [scope];
  return [scope, { vrf, ifId, mark: undefined }, { vrf, ifId: 0, mark }, { ...noScope, vrf }];
}

/** Which TUN device serves which scope. */
export class Scopes {
  readonly #devices: readonly ScopedDevice[];
  readonly #byScope: ReadonlyMap<string, DeviceIndex>;

  /** The first device is the one without a scope. */
  constructor(devices: readonly ScopedDevice[]) {
    this.#devices = devices;
    this.#byScope = new Map(devices.map(({ scope }, index) => [scopeKey(scope), index]));
  }

  get count(): number {
    return this.#devices.length;
  }

  get vrfs(): readonly string[] {
    return [...new Set(this.#devices.map(({ scope }) => scope.vrf))].filter((vrf) => vrf !== '');
  }

  nameOf(device: DeviceIndex): string {
    return this.#devices[device]?.name ?? '';
  }

  /** @throws Refusal when no device serves it */
  deviceOf(scope: Scope): DeviceIndex {
    for (const candidate of candidates(scope)) {
      const device = this.#byScope.get(scopeKey(candidate));
      if (device !== undefined) return device;
    }
    throw new Refusal(
      ResultCode.RESULT_CODE_UNSUPPORTED_FEATURE,
      `${featureName(featureOf(scope))}: no TUN device is for ${describeScope(scope)}; ` +
        `the dataplane's configuration has to list one: tunDevices: [${entryFor(scope)}]`,
    );
  }
}
