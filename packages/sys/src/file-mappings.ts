/** What of a file a process has mapped, as /proc/PID/maps tells it. */
import { readFileSync } from 'node:fs';
import { PROT_READ } from './constants/memory.ts';
import { Mapping } from './mapping.ts';
import type { Sys } from './sys.ts';

/** Columns: addresses, permissions, offset, device, inode. */
const RANGE = 0;
const OFFSET = 2;
const DEVICE = 3;
const INODE = 4;

function lines(pid: number | 'self'): string[] {
  return readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n');
}

/** What a process has mapped at an address: device and inode as maps has them. @returns null when there is nothing */
export function nameAtAddress(pid: number | 'self', address: number): string | null {
  for (const line of lines(pid)) {
    const words = line.split(' ');
    const [start, end] = words[RANGE]!.split('-').map((one) => Number.parseInt(one, 16));
    if (address >= start! && address < end!) return `${words[DEVICE]} ${words[INODE]}`;
  }
  return null;
}

/**
 * How mappings of a file are named: its device and inode as maps has them, which need not be those of statx. The file is
 * mapped for the time of the call.
 * @param look - who looks at this process's maps; default: this process itself
 * @throws SysError when it cannot be mapped
 */
export function nameInMaps(
  sys: Pick<Sys, 'mem'>,
  fd: number,
  look: (address: number) => string | null = (address) => nameAtAddress('self', address),
): string {
  using mapping = Mapping.shared(sys.mem, fd, sys.mem.pageSize, 0, PROT_READ);
  const name = look(mapping.addr);
  if (name === null) {
    throw new Error('/proc/self/maps lacks a mapping');
  }
  return name;
}

/**
 * How many bytes of a file a process has mapped that lie at `offset` or behind it, each as often as it is mapped.
 * @param name - see `nameInMaps`
 * @returns -1 when that cannot be told: the process is gone, or may not be looked at
 */
export function mappedBytesBehind(pid: number, name: string, offset: number): number {
  let sum = 0;
  try {
    for (const line of lines(pid)) {
      if (!line.includes(` ${name} `)) continue;
      const words = line.split(' ');
      const [start, end] = words[RANGE]!.split('-').map((address) => Number.parseInt(address, 16));
      const from = Number.parseInt(words[OFFSET]!, 16);
      sum += Math.max(0, from + end! - start! - Math.max(from, offset));
    }
  } catch {
    return -1;
  }
  return sum;
}
