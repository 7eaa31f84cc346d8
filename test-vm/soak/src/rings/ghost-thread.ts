/** The thread of `Ghost`. */
import { parentPort, workerData } from 'node:worker_threads';
import { Mapping, openSys, PROT_READ, PROT_WRITE } from '@oriel/sys';
import { Xorshift } from '../random.ts';
import { CALLED, DISMISSED, HAUNTING, LEAVING, MEMORY_FD, PLACE, RESTING, SEED, STATE } from './ghost.ts';
import { RAM_BYTES } from './hostile-memory.ts';

/** Idle turns between two writes at most: enough that most chains are still whole when they are read. */
const MOST_PAUSE = 2000;
const DESC_BYTES = 16;

const control = workerData as Int32Array;
const sys = openSys();

function haunt(): void {
  using memory = Mapping.shared(sys.mem, control[MEMORY_FD]!, RAM_BYTES, 0, PROT_READ | PROT_WRITE);
  const view = new DataView(memory.u8.buffer, memory.u8.byteOffset, RAM_BYTES);
  const random = new Xorshift(control[SEED]!);
  const [size, desc, avail, used] = control.subarray(PLACE) as unknown as [number, number, number, number];
  Atomics.store(control, STATE, HAUNTING);
  Atomics.notify(control, STATE);
  while (Atomics.load(control, STATE) === HAUNTING) {
    const at = desc + DESC_BYTES * random.below(size);
    switch (random.below(8)) {
      case 0:
        view.setUint32(at + 8, random.pick([0, 16, 32, 4096, random.u32()]), true);
        break;
      case 1:
        view.setUint16(at + 12, random.below(8), true);
        break;
      case 2:
        view.setUint16(at + 14, random.below(size + 1), true);
        break;
      case 3:
        view.setUint32(at, random.u32() & 0x3f_ffff, true);
        break;
      case 4:
        view.setUint16(avail + 4 + 2 * random.below(size), random.below(size), true);
        break;
      case 5:
        view.setUint16(used + 2, random.u32() & 0xffff, true);
        break;
      default:
        // Another chain, whatever stands at its head.
        view.setUint16(avail + 2, view.getUint16(avail + 2, true) + (random.once(40) ? 50 : random.below(2)), true);
    }
    for (let turns = random.below(MOST_PAUSE); turns > 0; turns--);
  }
}

parentPort!.postMessage('ready');
for (;;) {
  Atomics.wait(control, STATE, RESTING);
  const state = Atomics.load(control, STATE);
  if (state === CALLED) haunt();
  if (state === LEAVING) break;
  if (Atomics.compareExchange(control, STATE, DISMISSED, RESTING) === DISMISSED) Atomics.notify(control, STATE);
}
