/** What this process has open and mapped, as text: for comparing two moments at which the same things should be. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const FILE_COLUMN = 5;
/** Numbers of sockets and pipes, of which a new one is as good as an old one. */
const NUMBERS = /\[\d+\]/;

/** Descriptors by kind, and mapped memfds, sorted. Private memory is not among them: pools may grow. */
export function holdings(): string {
  const open: string[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      open.push(readlinkSync(`/proc/self/fd/${fd}`).replace(NUMBERS, ''));
    } catch {
      // The descriptor that listed the directory is gone by now.
    }
  }
  const mapped = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .map((line) => line.split(/\s+/).slice(FILE_COLUMN).join(' '))
    .filter((name) => name.startsWith('/memfd:'));
  return `open: ${open.sort().join(' ')}; mapped: ${mapped.sort().join(' ')}`;
}
