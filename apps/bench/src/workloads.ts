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

/** What a workload is for those who want something of it. */
export type Kind = 'small' | 'bulk' | 'listing' | 'create';

/** One row. */
export interface Workload {
  /** What one operation is. */
  readonly operation: string;
  readonly kind: Kind;
  readonly make: (session: Session, shareDir: string) => Work;
}

const KIB = 1024;
const MIB = 1024 * KIB;

const transfer = (kind: 'READ' | 'WRITE', bytes: number, pattern: 'random' | 'sequential'): Workload => ({
  operation: `${kind}, ${pattern} over 64 MiB`,
  kind: pattern === 'random' ? 'small' : 'bulk',
  make: (session, shareDir) =>
    kind === 'READ' ? new ReadWork(session, { bytes, pattern }) : new WriteWork(session, shareDir, { bytes, pattern }),
});

/** Workloads by name, in the order of the report. */
export const WORKLOADS: Readonly<Record<string, Workload>> = {
  getattr: {
    operation: 'GETATTR, 1,000 files by turns',
    kind: 'small',
    make: (session, shareDir) => new GetattrWork(session, shareDir),
  },
  lookup: {
    operation: 'LOOKUP, 1,000 names by turns, all known before',
    kind: 'small',
    make: (session, shareDir) => new LookupWork(session, shareDir),
  },
  open: {
    operation: 'OPEN and RELEASE, 1,000 files by turns',
    kind: 'small',
    make: (session) => new OpenWork(session),
  },
  'read-4k': transfer('READ', 4 * KIB, 'random'),
  'read-128k': transfer('READ', 128 * KIB, 'sequential'),
  'read-1m': transfer('READ', MIB, 'sequential'),
  'write-4k': transfer('WRITE', 4 * KIB, 'random'),
  'write-128k': transfer('WRITE', 128 * KIB, 'sequential'),
  'write-1m': transfer('WRITE', MIB, 'sequential'),
  readdirplus: {
    operation: 'OPENDIR, READDIRPLUS of 32 KiB to the end of 10,000 files, RELEASEDIR',
    kind: 'listing',
    make: (session, shareDir) => new ReaddirplusWork(session, shareDir),
  },
  create: {
    operation: 'CREATE, RELEASE, UNLINK, FORGET',
    kind: 'create',
    make: (session, shareDir) => new CreateWork(session, shareDir),
  },
};

/** Ratio of our operations a second to virtiofsd's that is wanted on one core: at a depth of 1, and at others. */
const WANTED: Readonly<Record<Kind, readonly [number, number]>> = {
  small: [1.1, 1.5],
  bulk: [1, 1],
  listing: [1.5, 1.5],
  create: [1, 1],
};
/** The same of small requests where each has a core of its own; of the others nothing is wanted there. */
const WANTED_ON_TWO: readonly [number, number] = [2, 1.3];
/** Most CPU time per operation that is wanted on one core, as a ratio. */
const CPU_WANTED = 0.9;

/** What is wanted of a case, as ratios; NaN: nothing. */
export interface Wanted {
  readonly ops: number;
  readonly cpu: number;
}

/** What is wanted of a workload at a depth. */
export function wantedOf(workload: string, depth: number, cores: 'one' | 'two'): Wanted {
  const { kind } = WORKLOADS[workload]!;
  const place = depth === 1 ? 0 : 1;
  if (cores === 'one') return { ops: WANTED[kind][place], cpu: CPU_WANTED };
  return { ops: kind === 'small' ? WANTED_ON_TWO[place] : Number.NaN, cpu: Number.NaN };
}
