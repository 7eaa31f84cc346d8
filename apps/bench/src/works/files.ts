/** The small files of the share as a session knows them: their nodeids, and which one is next. */
import { TWO_32 } from '@oriel/layout';
import type { Session } from '../driver/session.ts';
import { BENCH_DIR, FILE_COUNT, FILES_DIR, fileName } from '../share.ts';

/** Nodeids of all small files, in the order of their names. */
export interface SmallFiles {
  /** Nodeid of their folder. */
  readonly parent: number;
  readonly lo: Uint32Array;
  readonly hi: Uint32Array;
}

const known = new WeakMap<Session, SmallFiles>();

/** Looks all of them up, the first time that a session asks. @throws BenchError ERR_BENCH_ANSWER */
export function smallFiles(session: Session): SmallFiles {
  const before = known.get(session);
  if (before !== undefined) return before;
  const parent = session.resolve(BENCH_DIR, FILES_DIR);
  const files = { parent, lo: new Uint32Array(FILE_COUNT), hi: new Uint32Array(FILE_COUNT) };
  for (let i = 0; i < FILE_COUNT; i++) {
    const { nodeid } = session.ask(session.encoder.lookup(parent, fileName(i))).readEntry();
    files.lo[i] = nodeid % TWO_32;
    files.hi[i] = Math.floor(nodeid / TWO_32);
  }
  known.set(session, files);
  return files;
}
