import {
  moveSa,
  PolicyTable,
  type PolicyUser,
  type SaId,
  type SaKey,
  type SaMove,
  type SecurityAssociation,
  saKey,
} from '../sad/index.ts';
import type { SecretBytes } from '../util/index.ts';
import type { DesiredSnapshot } from './requests.ts';

function keysOf(sa: SecurityAssociation): readonly SecretBytes[] {
  return [sa.encryption?.key, sa.integrity?.key].filter((key) => key !== undefined);
}

/**
 * What charon was told exists. Owns the keys: an SA that leaves has its keys wiped, once
 * no batch that may still read them is in flight.
 */
export class DesiredState {
  readonly policies = new PolicyTable();
  readonly #sas = new Map<SaKey, SecurityAssociation>();
  #toWipe: SecretBytes[] = [];
  #isHeld = false;

  get sas(): ReadonlyMap<SaKey, SecurityAssociation> {
    return this.#sas;
  }

  replace(snapshot: DesiredSnapshot): void {
    for (const sa of this.#sas.values()) this.discard(sa);
    this.#sas.clear();
    this.policies.clear();
    for (const sa of snapshot.sas) this.#sas.set(saKey(sa.id), sa);
    for (const user of snapshot.policyUsers) this.policies.add(user);
  }

  setSa(sa: SecurityAssociation): void {
    const key = saKey(sa.id);
    const previous = this.#sas.get(key);
    this.#sas.set(key, sa);
    if (previous !== undefined && previous !== sa) this.discard(previous);
  }

  /** Gives an SA its new endpoints; false when there is none. */
  moveSa(id: SaId, move: SaMove): boolean {
    const sa = this.#sas.get(saKey(id));
    if (sa === undefined) return false;
    const moved = moveSa(sa, move);
    this.#sas.delete(saKey(id));
    this.deleteSa(saKey(moved.id));
    this.#sas.set(saKey(moved.id), moved);
    return true;
  }

  deleteSa(key: SaKey): void {
    const sa = this.#sas.get(key);
    if (sa === undefined) return;
    this.#sas.delete(key);
    this.discard(sa);
  }

  clearSas(): void {
    for (const sa of this.#sas.values()) this.discard(sa);
    this.#sas.clear();
  }

  addUser(user: PolicyUser): void {
    this.policies.add(user);
  }

  /** Wipes the keys of an SA that nobody desires. */
  discard(sa: SecurityAssociation): void {
    this.#toWipe.push(...keysOf(sa));
    this.#wipe();
  }

  /** While held, keys are kept for the batch that is in flight. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#wipe();
  }

  #wipe(): void {
    if (this.#isHeld) return;
    for (const key of this.#toWipe) key.wipe();
    this.#toWipe = [];
  }
}
