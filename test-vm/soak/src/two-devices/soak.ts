/**
 * Soak `two-devices`: one `oriel run` with a file system and a GPU, one machine that uses both windows under load at the same
 * time, with pauses, resets and machines that die. What is mapped for one device is memory to the other, too. Every byte is
 * known beforehand, in the guest and on the host; at the end of each machine nothing is left in the back-end.
 */
import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { must, SoakError, same } from '../errors.ts';
import type { Xorshift } from '../random.ts';
import type { SoakRun, Tally } from '../soak.ts';
import { type BlobAction, BlobsLoad } from './blobs-load.ts';
import { type FileAction, FilesLoad } from './files-load.ts';
import { type BothVms, TwoDevices } from './stage.ts';

const STEPS = 300;
const LOOKS = 300;
const LOOK_MS = 10;

const FILES: Record<FileAction, number> = { load: 60, store: 40, read: 10, write: 10, evict: 6, remount: 1 };
const BLOBS: Record<BlobAction, number> = {
  make: 60,
  fill: 30,
  look: 30,
  'look from the host': 4,
  drop: 16,
  remap: 20,
  row: 20,
  draw: 10,
  reset: 1,
};
const MACHINE = { 'pause both': 3, 'pause files': 2, 'pause gpu': 2 } as const;
const WEIGHTS = { ...FILES, ...BLOBS, ...MACHINE };

export const enough = 8;
export const wanted = [...Object.keys(WEIGHTS), 'crash', 'end'];

export async function open(): Promise<SoakRun> {
  process.umask(0);
  const sys = openSys();
  const leaks = leakCheck();
  const two = new TwoDevices(sys);
  let atRest: string | null = null;
  return {
    async round(random, tally) {
      try {
        work(two, random, tally);
        two.checkFiles();
      } catch (error) {
        throw new SoakError('ERR_SOAK_MISMATCH', `${String(error)}\n${two.oriel.log}`, { cause: error });
      }
      atRest = await settled(two, atRest);
    },
    async [Symbol.asyncDispose]() {
      await using _end = two;
      await two.oriel.stop();
      await two[Symbol.asyncDispose]();
      leaks.check();
    },
  };
}

/** One machine. */
function work(two: TwoDevices, random: Xorshift, tally: Tally): void {
  using vms = two.boot();
  const files = new FilesLoad(vms.fs, two.files, random);
  const blobs = new BlobsLoad(vms.gpu, two.oriel.pid, random);
  const load = (): void => {
    const action = random.weighted(FILES);
    tally.did(action);
    files.act(action);
  };
  for (let step = 0; step < STEPS; step++) {
    const action = random.weighted(WEIGHTS);
    tally.did(action);
    if (action in FILES) files.act(action as FileAction);
    else if (action in BLOBS) blobs.act(action as BlobAction, load);
    else pause(vms, action as keyof typeof MACHINE);
  }
  same('mapping requests while stopped', vms.fs.requestsWhileStopped + vms.gpu.requestsWhileStopped, 0);
  same('refused memory updates', vms.fs.window.updateErrors.length + vms.gpu.window.updateErrors.length, 0);
  if (random.once(4)) {
    tally.saw('crash');
    vms.gpu.crash();
    vms.fs.crash();
    return;
  }
  tally.saw('end');
  files.end();
  blobs.end();
}

function pause({ fs, gpu }: BothVms, action: keyof typeof MACHINE): void {
  const stopped = action === 'pause files' ? [fs] : action === 'pause gpu' ? [gpu] : [gpu, fs];
  for (const vm of stopped) vm.pause();
  for (const vm of stopped.reverse()) vm.resume();
}

/** The back-end's descriptors without a machine are the same each time. @returns them */
async function settled(two: TwoDevices, wanted: string | null): Promise<string> {
  const now = (): string => two.oriel.descriptors.join(' ');
  const isIdle = (): boolean => (wanted === null ? !now().includes('memfd') : now() === wanted);
  for (let look = 0; look < LOOKS && !isIdle(); look++) await new Promise((done) => setTimeout(done, LOOK_MS));
  must(isIdle(), `the back-end has open: ${now()}\nwanted: ${wanted ?? 'no memfd'}`);
  return now();
}
