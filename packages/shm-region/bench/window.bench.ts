/**
 * How many ranges a window maps in a second, beside the kernel alone: `node -C @oriel/source bench/window.bench.ts`.
 * Medians of 7 rounds of 2000 ranges of one page each; a range stays mapped until the round ends.
 */
import { Window, type WireMapping } from '@oriel/shm-region';
import {
  check,
  Fd,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  MFD_CLOEXEC,
  openSys,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '@oriel/sys';

const ROUNDS = 7;
const RANGES = 2000;
const sys = openSys();
const { pageSize } = sys.mem;
using file = new Fd(sys.fd, check(sys.mem.memfdCreate('bench', MFD_CLOEXEC), 'memfd_create'));
check(sys.file.ftruncate(file.fd, RANGES * pageSize), 'ftruncate');
using window = new Window(sys, { shmid: 0, size: 2 * RANGES * pageSize, overlap: 'replace' });

/** Every second page, so that no two ranges become one memory area. */
const wires: WireMapping[] = Array.from({ length: RANGES }, (_, index) => ({
  shmid: 0,
  shmOffset: 2 * index * pageSize,
  len: pageSize,
  fdOffset: index * pageSize,
  writable: true,
}));

function measure(name: string, each: (wire: WireMapping) => void, after: () => void): void {
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now();
    for (const wire of wires) {
      each(wire);
    }
    times.push((performance.now() - start) / RANGES);
    after();
  }
  // The first round warms the code up.
  const median = times.slice(1).sort((a, b) => a - b)[ROUNDS >> 1]!;
  const rate = Math.round(1000 / median).toLocaleString('en');
  console.log(`${name.padEnd(44)}${(median * 1000).toFixed(2).padStart(8)} us${rate.padStart(12)} a second`);
}

const clear = () => window.clear();
const SHARED = MAP_SHARED | MAP_FIXED;
const RESERVED = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
const mapByHand = ({ shmOffset, len, fdOffset }: WireMapping) =>
  check(sys.mem.mmap(window.addr + shmOffset, len, PROT_READ | PROT_WRITE, SHARED, file.fd, fdOffset), 'mmap');
const mapAll = () => {
  for (const wire of wires) {
    check(window.map(wire, file.dup()), 'map');
  }
};

measure(
  'the kernel: dup, mmap, close',
  (wire) => {
    using copy = file.dup();
    check(
      sys.mem.mmap(window.addr + wire.shmOffset, wire.len, PROT_READ | PROT_WRITE, SHARED, copy.fd, wire.fdOffset),
      'mmap',
    );
  },
  clear,
);
measure('the kernel: mmap', mapByHand, clear);
measure('Window.map (with a dup for it)', (wire) => check(window.map(wire, file.dup()), 'map'), clear);
mapAll();
measure(
  'Window.map over an equal range',
  (wire) => check(window.map(wire, file.dup()), 'map'),
  () => {},
);
measure(
  'the kernel: mmap of reserved pages',
  ({ shmOffset, len }) => check(sys.mem.mmap(window.addr + shmOffset, len, PROT_NONE, RESERVED, -1, 0), 'mmap'),
  mapAllAgain,
);
measure('Window.unmap', (wire) => check(window.unmap(wire), 'unmap'), mapAll);

/** The table still has what the kernel lost. */
function mapAllAgain(): void {
  window.clear();
  mapAll();
}
