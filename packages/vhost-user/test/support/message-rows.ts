/** The README's message tables, made from the code's: a test holds one against the other. */

import * as features from '../../src/features.ts';
import type { FdRule, Gate, MessageSpec } from '../../src/index.ts';

const featureNames = new Map<string, string>();
for (const [name, bit] of Object.entries(features)) {
  if (typeof bit === 'number') {
    const protocol = name.startsWith('VHOST_USER_PROTOCOL_F_');
    featureNames.set(`${protocol ? 'protocol' : 'feature'} ${bit}`, name.replace(/^VHOST_USER_PROTOCOL_F_/, ''));
  }
}

function gateText(gate: Gate | null): string {
  if (gate === null) {
    return '';
  }
  const text =
    'feature' in gate ? featureNames.get(`feature ${gate.feature}`) : featureNames.get(`protocol ${gate.protocol}`);
  return text ?? '?';
}

function fdText(fds: FdRule): string {
  if (fds.count !== undefined) {
    return fds.max === 1 ? '1, 0 with bit 8' : 'one a region';
  }
  return fds.min === fds.max ? String(fds.min) : `${fds.min}..${fds.max}`;
}

/** One row: id, name, request bytes, descriptors, reply, gate, and what this package does with it. */
export function row(spec: MessageSpec, served: string): string {
  const { reply } = spec;
  const answer =
    reply === 'ack' ? 'ack' : `${reply.payload.sizes}${reply.maxFds > 0 ? `, up to ${reply.maxFds} fd` : ''}`;
  const cells = [spec.id, spec.name, spec.payload.sizes, fdText(spec.fds), answer, gateText(spec.gate), served];
  return `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |');
}
