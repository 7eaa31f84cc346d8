/** A helper thread of `openOffload`: takes system calls from the ring, makes them, tells the loop. */
import { isMainThread, workerData } from 'node:worker_threads';
import { errno, rawCall } from '../koffi/library.ts';
import { SYS } from '../koffi/numbers.ts';
import { HelperRights } from './helper-rights.ts';
import { OffloadRing } from './offload-ring.ts';

/** What a helper is started with. */
export interface HelperData {
  readonly depth: number;
  readonly buffer: SharedArrayBuffer;
  /** The eventfd that the loop watches. */
  readonly doneFd: number;
}

function help({ depth, buffer, doneFd }: HelperData): void {
  const ring = new OffloadRing(depth, buffer);
  const call = rawCall('iiiiii');
  const write = rawCall('ipi');
  const one = new Uint32Array([1, 0]);
  let rights: HelperRights | null = null;
  const make = (job: number): number => {
    const result = Number(
      call(
        ring.jobWord(job, 0),
        ring.jobWord(job, 1),
        ring.jobWord(job, 2),
        ring.jobWord(job, 3),
        ring.jobWord(job, 4),
        ring.jobWord(job, 5),
        ring.jobWord(job, 6),
      ),
    );
    return result === -1 ? -errno() : result;
  };
  ring.helperUp();
  for (let job = ring.take(); job >= 0; job = ring.take()) {
    if (job === depth) {
      ring.finishEach(make(job));
      continue;
    }
    const wanted = ring.jobRights(job);
    if (wanted === null) {
      ring.finish(job, make(job));
    } else {
      rights ??= new HelperRights();
      ring.finish(
        job,
        rights.run(wanted, () => make(job)),
      );
    }
    write(SYS.write, doneFd, one, 8);
    ring.release();
  }
}

if (!isMainThread) {
  help(workerData as HelperData);
}
