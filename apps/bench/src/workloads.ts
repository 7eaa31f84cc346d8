/** The workloads, as one table. */
import type { Session } from './driver/session.ts';
import type { Work } from './driver/work.ts';
import { CreateWork } from './works/create.ts';
import { GetattrWork } from './works/getattr.ts';
import { LookupWork } from './works/lookup.ts';
import { OpenWork } from './works/open.ts';
import { ReadWork } from './works/read.ts';
import { ReaddirplusWork } from './works/readdirplus.ts';
import { WriteWork } from './works/write.ts';

/** One row. */
export interface Workload {
  /** What one operation is. */
  readonly operation: string;
  /** Ratio of our operations a second to virtiofsd's that is wanted at a depth of 32. */
  readonly target: number;
  readonly make: (session: Session, shareDir: string) => Work;
}

const KIB = 1024;
const MIB = 1024 * KIB;

const transfer = (
  kind: 'READ' | 'WRITE',
  bytes: number,
  pattern: 'random' | 'sequential',
  target: number,
): Workload => ({
  operation: `${kind}, ${pattern} over 64 MiB`,
  target,
  make: (session, shareDir) =>
    kind === 'READ' ? new ReadWork(session, { bytes, pattern }) : new WriteWork(session, shareDir, { bytes, pattern }),
});

/** Workloads by name, in the order of the report. */
export const WORKLOADS: Readonly<Record<string, Workload>> = {
  getattr: {
    operation: 'GETATTR, 1,000 files by turns',
    target: 1.5,
    make: (session, shareDir) => new GetattrWork(session, shareDir),
  },
  lookup: {
    operation: 'LOOKUP, 1,000 names by turns, all known before',
    target: 1.5,
    make: (session, shareDir) => new LookupWork(session, shareDir),
  },
  open: {
    operation: 'OPEN and RELEASE, 1,000 files by turns',
    target: 1.5,
    make: (session) => new OpenWork(session),
  },
  'read-4k': transfer('READ', 4 * KIB, 'random', 1.5),
  'read-128k': transfer('READ', 128 * KIB, 'sequential', 0.95),
  'read-1m': transfer('READ', MIB, 'sequential', 0.95),
  'write-4k': transfer('WRITE', 4 * KIB, 'random', 1.5),
  'write-128k': transfer('WRITE', 128 * KIB, 'sequential', 0.95),
  'write-1m': transfer('WRITE', MIB, 'sequential', 0.95),
  readdirplus: {
    operation: 'OPENDIR, READDIRPLUS of 32 KiB to the end of 10,000 files, RELEASEDIR',
    target: 1.5,
    make: (session, shareDir) => new ReaddirplusWork(session, shareDir),
  },
  create: {
    operation: 'CREATE, RELEASE, UNLINK, FORGET',
    target: 0.95,
    make: (session, shareDir) => new CreateWork(session, shareDir),
  },
};

/** Ratio that is wanted at a depth of 1, of every workload. */
export const SHALLOW_TARGET = 0.9;
/** Most CPU time per operation that is wanted, as a ratio. */
export const CPU_TARGET = 1;
