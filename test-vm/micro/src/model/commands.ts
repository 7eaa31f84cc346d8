/** What can happen to a region, as commands for fast-check. The trial holds both the model and the real thing. */
import fc from 'fast-check';
import { FILE_PAGES } from './files.ts';
import type { RegionModel } from './region-model.ts';
import type { Trial } from './trial.ts';

/** Pages of the region. */
export const REGION_PAGES = 16;
const MOST_OWNERS = 5;
const LONGEST = 5;

/** What decides whether a command applies. */
type ModelView = Pick<RegionModel, 'state' | 'quiet' | 'entries' | 'shape'>;
type Command = fc.Command<ModelView, Trial>;

/** Counts what ran: one operation a command. */
export interface Count {
  operations: number;
  readonly byName: Record<string, number>;
}

/** @param settles - the trial comes to rest behind the command; otherwise the next one meets what is on its way */
class Step implements Command {
  readonly #name: string;
  readonly #count: Count;
  readonly #applies: (model: ModelView) => boolean;
  readonly #act: (trial: Trial) => void;
  readonly #settles: boolean;

  constructor(
    name: string,
    count: Count,
    applies: (model: ModelView) => boolean,
    act: (trial: Trial) => void,
    settles = true,
  ) {
    this.#name = name;
    this.#count = count;
    this.#applies = applies;
    this.#act = act;
    this.#settles = settles;
  }

  check(model: Readonly<ModelView>): boolean {
    return this.#applies(model);
  }

  run(_model: ModelView, trial: Trial): void {
    this.#count.operations += 1;
    this.#count.byName[this.#name] = (this.#count.byName[this.#name] ?? 0) + 1;
    this.#act(trial);
    if (this.#settles) {
      trial.settle();
    }
  }

  toString(): string {
    return this.#name;
  }
}

const always = () => true;
const running = (model: ModelView) => model.state === 'running';
/** A replacement is asked for only when its ground lies still: what else could be meant is the ledger's own test. */
const mayMap = (model: ModelView) => running(model) && (model.shape.overlap === 'refuse' || model.quiet);
const stopped = (model: ModelView) => model.state !== 'running';
/** Everything has been answered, so that what the front-end holds is known. */
const still = (model: ModelView) => running(model) && model.quiet;

/** @param pageSize - of the region, bytes */
export function regionCommands(pageSize: number, count: Count): fc.Arbitrary<Command>[] {
  const P = pageSize;
  const page = fc.nat({ max: REGION_PAGES });
  const pages = fc.integer({ min: 1, max: LONGEST });
  const which = fc.nat({ max: 100 });
  const settles = fc.nat({ max: 4 }).map((n) => n > 0);
  const step = (
    name: string,
    applies: (model: ModelView) => boolean,
    act: (trial: Trial) => void,
    rests = true,
  ): Command => new Step(name, count, applies, act, rests);
  const ownerOf = (trial: Trial, n: number) => trial.owners[n % Math.max(1, trial.owners.length)] ?? -1;

  const create = fc.constant(
    step('create', always, (trial) => {
      if (trial.owners.length < MOST_OWNERS) {
        trial.create();
      }
    }),
  );
  const map = fc
    .record({ page, pages, which, filePage: fc.nat({ max: FILE_PAGES }), writable: fc.boolean(), settles })
    .map((m) =>
      step(
        'map',
        mayMap,
        (trial) =>
          trial.map({
            shmOffset: m.page * P,
            len: m.pages * P,
            fdOffset: m.filePage * P,
            writable: m.writable,
            owner: ownerOf(trial, m.which),
            pastEnd: m.filePage + m.pages > FILE_PAGES,
          }),
        m.settles,
      ),
    );
  const mapInVain = fc.record({ page, which }).map((m) =>
    step('map while stopped', stopped, (trial) => {
      const place = { shmOffset: m.page * P, len: P, fdOffset: 0 };
      trial.map({ ...place, writable: true, owner: ownerOf(trial, m.which), pastEnd: false });
    }),
  );
  const crooked = fc
    .record({
      page,
      which,
      by: fc.constantFrom(1, 512, P / 2, P - 1, -P),
      field: fc.constantFrom('shmOffset', 'len', 'fdOffset'),
    })
    .map((m) =>
      step('crooked map', running, (trial) => {
        const good = { shmOffset: m.page * P, len: P, fdOffset: 0 };
        const place = { ...good, [m.field]: good[m.field as keyof typeof good] + m.by };
        trial.map({ ...place, writable: true, owner: ownerOf(trial, m.which), pastEnd: false });
      }),
    );
  const split = fc
    .record({ page, parts: fc.integer({ min: 2, max: 4 }), which, settles, whole: fc.boolean() })
    .map((m) =>
      step(
        'split',
        mayMap,
        (trial) => {
          const owner = ownerOf(trial, m.which);
          for (let part = 0; part < m.parts; part += 1) {
            const at = { shmOffset: (m.page + part) * P, len: P, fdOffset: part * P };
            trial.map({ ...at, writable: false, owner, pastEnd: false });
          }
          if (m.whole && m.page + m.parts <= REGION_PAGES) {
            trial.unmap(m.page * P, m.parts * P);
          }
        },
        m.settles,
      ),
    );
  const upgrade = fc.record({ which, settles }).map((m) =>
    step(
      'upgrade',
      (model) => still(model) && model.entries.some(({ writable }) => !writable),
      (trial) => {
        const candidates = trial.model.entries.filter(({ writable }) => !writable);
        const entry = candidates[m.which % candidates.length]!;
        const { shmOffset, len } = entry;
        if (trial.model.shape.overlap === 'refuse') {
          trial.unmap(shmOffset, len);
        }
        trial.map({ ...entry, writable: true });
      },
      m.settles,
    ),
  );
  const unmap = fc
    .record({ page: fc.nat({ max: REGION_PAGES - 1 }), pages: fc.integer({ min: 1, max: 8 }), settles })
    .map((m) => {
      const len = Math.min(m.pages, REGION_PAGES - m.page) * P;
      return step('unmap', always, (trial) => trial.unmap(m.page * P, len), m.settles);
    });
  const unmapAll = settles.map((rests) => step('unmap all', always, (trial) => trial.unmapAll(), rests));
  const dies = fc.record({ which, settles }).map((m) =>
    step(
      'owner dies',
      always,
      (trial) => {
        const id = ownerOf(trial, m.which);
        if (id >= 0) {
          trial.ownerDies(id);
        }
      },
      m.settles,
    ),
  );
  const rogueOverlap = fc.record({ which, shift: fc.integer({ min: -1, max: 1 }) }).map((m) =>
    step(
      'rogue overlap',
      (model) => still(model) && model.shape.overlap === 'refuse' && model.entries.length > 0,
      (trial) => {
        const { entries } = trial.model;
        const entry = entries[m.which % entries.length]!;
        const last = REGION_PAGES * P - entry.len;
        const shmOffset = Math.min(last, Math.max(0, entry.shmOffset + m.shift * (entry.len - P)));
        if (trial.owners.length > 0) {
          trial.rogue('map', { shmOffset, len: entry.len, fdOffset: 0, writable: false });
        }
      },
    ),
  );
  const rogueCrooked = fc
    .record({ page, by: fc.constantFrom(1, 512, P / 2), field: fc.constantFrom('shmOffset', 'len', 'fdOffset') })
    .map((m) =>
      step('rogue crooked', still, (trial) => {
        const good = { shmOffset: m.page * P, len: P, fdOffset: 0 };
        const bad = { ...good, [m.field]: good[m.field as keyof typeof good] + m.by, writable: false };
        // What an UNMAP says of the file means nothing.
        trial.rogue(m.page % 2 === 0 || m.field === 'fdOffset' ? 'map' : 'unmap', bad);
      }),
    );
  const rogueUnmap = fc.record({ which }).map((m) =>
    step(
      'rogue unmap',
      (model) => still(model) && model.entries.some(({ len }) => len > P),
      (trial) => {
        const long = trial.model.entries.filter(({ len }) => len > P);
        const { shmOffset } = long[m.which % long.length]!;
        trial.rogue('unmap', { shmOffset, len: P, fdOffset: 0, writable: false });
      },
    ),
  );
  const pause = fc.constant(step('pause', running, (trial) => trial.pause()));
  const resume = fc.constant(
    step(
      'resume',
      (model) => model.state === 'paused',
      (trial) => trial.resume(),
    ),
  );
  const reset = fc.constant(step('reset', running, (trial) => trial.reset()));
  const disconnect = fc.constant(
    step(
      'disconnect',
      (model) => model.state !== 'offline',
      (trial) => trial.disconnect(),
    ),
  );
  const reconnect = fc.constant(
    step(
      'reconnect',
      (model) => model.state === 'offline',
      (trial) => trial.reconnect(),
    ),
  );
  const crash = fc.constantFrom('back-end' as const, 'front-end' as const).map((side) =>
    step(
      `crash of the ${side}`,
      (model) => model.state !== 'offline',
      (trial) => trial.crash(side),
    ),
  );
  const often = (times: number, arbitrary: fc.Arbitrary<Command>) => Array.from({ length: times }, () => arbitrary);
  return [
    ...often(5, create),
    ...often(20, map),
    ...often(2, mapInVain),
    ...often(2, crooked),
    ...often(4, split),
    ...often(4, upgrade),
    ...often(9, unmap),
    unmapAll,
    ...often(2, dies),
    ...often(2, rogueOverlap),
    rogueCrooked,
    ...often(2, rogueUnmap),
    pause,
    ...often(6, resume),
    reset,
    ...often(8, reconnect),
    ...often(1, disconnect),
    ...often(1, crash),
  ];
}
