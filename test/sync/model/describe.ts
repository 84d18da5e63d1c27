import type { PolicyUser } from '../../../src/sad/index.ts';
import type { SyncChange, SyncRequest } from '../../../src/sync/index.ts';
import { policyName, saName } from './names.ts';
import type { WireOperation } from './wire.ts';

// For the log of a world.

function describeUser({ id, action }: PolicyUser): string {
  return `${policyName(id)} ${action.kind === 'protect' ? `spi ${action.template.spi?.toString(16)}` : action.kind}`;
}

export function describeRequest(request: SyncRequest): string {
  switch (request.kind) {
    case 'add-sa':
      return `add ${saName(request.sa.id)}`;
    case 'update-sa':
      return `move ${saName(request.id)} to ${request.move.destination} from ${request.move.source}`;
    case 'add-policy':
      return `add ${describeUser(request.user)}`;
    case 'reserve-spi':
      return 'reserve an SPI';
  }
}

export function describeChange(change: SyncChange): string {
  if (change.kind === 'delete-sa') return `delete ${saName(change.id)}`;
  if (change.kind === 'update-sa') return `move ${saName(change.id)} back to ${change.move.destination}`;
  if ('user' in change) return `${change.kind} ${describeUser(change.user)}`;
  return change.kind;
}

export function describeOperation(operation: WireOperation): string {
  switch (operation.kind) {
    case 'add-sa':
      return `add ${saName(operation.sa.id)}`;
    case 'update-sa':
      return `move ${saName(operation.id)}`;
    case 'delete-sa':
      return `delete ${saName(operation.id)}`;
    case 'put-policy':
      return `put ${policyName(operation.policy.id)}`;
    case 'delete-policy':
      return `delete ${policyName(operation.id)}`;
    case 'reserve-spi':
      return 'reserve';
  }
}
