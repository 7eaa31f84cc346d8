/** Names as a guest may send them, good and bad ones. */
import type { NameInput } from '@oriel/fuse/client';
import type { Xorshift } from '../random.ts';

const PLAIN = ['a', 'b', 'c', 'dir', 'inner', 'link', 'up', 'ä', 'x'.repeat(255)];
/** What would lead out of the share, were it followed. */
const ESCAPES = [
  '..',
  '.',
  '',
  '../sentinel',
  '../sentinel/secret',
  'up/secret',
  'absolute',
  '/etc/passwd',
  'dir/../../sentinel',
  'dir/',
  '/',
  'x'.repeat(256),
];
const RAW = [
  Uint8Array.of(0xff, 0xfe),
  Uint8Array.of(0x2e, 0x2e, 0),
  Uint8Array.of(0x61, 0, 0x62),
  Uint8Array.of(0x0a),
];
const TARGETS = ['../sentinel/secret', '/etc/passwd', 'a', '..', '.', '', 'loop', 'x'.repeat(4095), 'x'.repeat(4096)];

/** One component, or what only looks like one. */
export function someName(random: Xorshift): NameInput {
  if (random.once(12)) return random.pick(ESCAPES);
  return random.once(40) ? random.pick(RAW) : random.pick(PLAIN);
}

/** The target of a symbolic link. */
export function someTarget(random: Xorshift): string {
  return random.pick(TARGETS);
}
