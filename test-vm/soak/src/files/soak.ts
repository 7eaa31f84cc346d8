/**
 * Soak `files`: random file operations in a loopback VM against the real `oriel fs`, by requests and through a window that is
 * too small for its files, with pauses, resets, re-mounts and machines that die; held at each step against a plain model in
 * memory, and again and again against the host's directory.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DaxTail } from '@oriel/fs-dax';
import { openSys, type Sys } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { SoakError, same } from '../errors.ts';
import type { OrielProcess } from '../oriel-process.ts';
import type { Xorshift } from '../random.ts';
import type { SoakRun, Tally } from '../soak.ts';
import { actOnData, type DataAction, readAll } from './data-actions.ts';
import { HostCompare } from './host-compare.ts';
import { actOnMachine, type MachineAction } from './machine-actions.ts';
import { ModelTree } from './model-tree.ts';
import { actOnNames, list, type NameAction } from './name-actions.ts';
import { startOrielFs } from './oriel-fs.ts';
import { Session } from './session.ts';

const MIB = 1 << 20;
/** With each tail mode. */
const STEPS = 500;
const TAILS = ['refuse', 'grow', 'copy'] as const;
const PAGE = 4096;

const DATA: Record<DataAction, number> = {
  write: 600,
  append: 400,
  truncate: 320,
  read: 500,
  load: 1200,
  store: 800,
  allocate: 80,
  punch: 80,
  copy: 120,
  sync: 120,
};
const NAMES: Record<NameAction, number> = {
  create: 160,
  mkdir: 60,
  symlink: 60,
  link: 100,
  unlink: 100,
  rmdir: 40,
  rename: 120,
  exchange: 60,
  lookup: 160,
  getattr: 160,
  readlink: 40,
  list: 60,
  forget: 100,
  open: 60,
  close: 160,
};
const MACHINE: Record<MachineAction, number> = {
  pause: 40,
  'pause in flight': 80,
  temper: 40,
  refuse: 40,
  'keep silent': 1,
};
const REST = { removeOne: 60, remount: 20, reset: 20, crash: 10, compare: 60 } as const;
const WEIGHTS = { ...DATA, ...NAMES, ...MACHINE, ...REST };

export const enough = 3;
export const wanted = [
  ...Object.keys({ ...DATA, ...NAMES, ...REST }),
  ...['pause', 'pause in flight', 'temper', 'refuse', 'loaded', 'stored', 'slot set up', 'slot removed'],
  ...['slot used again without removal', 'mapping over a pause', 'mapping refused', 'mounted always', 'mounted inode'],
  ...TAILS.map((tail) => `tail ${tail}`),
];

export function open(): SoakRun {
  process.umask(0);
  const sys = openSys();
  const leaks = leakCheck();
  return {
    async round(random, tally) {
      for (const tail of TAILS) {
        tally.saw(`tail ${tail}`);
        await work(sys, tail, random, tally);
      }
      leaks.check();
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** A fresh directory, a back-end over it, and VMs that work on it. */
async function work(sys: Sys, tail: DaxTail, random: Xorshift, tally: Tally): Promise<void> {
  using dir = tempDir('oriel-soak-');
  const sharedDir = join(dir.path, 'share');
  mkdirSync(sharedDir);
  const windowSize = random.pick([4, 8, 16]) * MIB;
  await using oriel = startOrielFs(sys, { dir: dir.path, sharedDir, tail, windowSize, daxMinSize: PAGE });
  const around = { sys, socketPath: oriel.socketPaths[0]!, tail, random, tally, tree: new ModelTree() };
  try {
    new FilesRound(new Session(around), new HostCompare(sharedDir)).run(oriel);
  } catch (error) {
    const message = `${String(error)} (tail ${tail}, window ${windowSize})\n${oriel.log}`;
    throw new SoakError('ERR_SOAK_MISMATCH', message, { cause: error });
  }
  await oriel.stop();
}

class FilesRound {
  #session: Session;
  readonly #host: HostCompare;
  readonly #random: Xorshift;
  readonly #tally: Tally;

  constructor(session: Session, host: HostCompare) {
    this.#session = session;
    this.#host = host;
    this.#random = session.around.random;
    this.#tally = session.around.tally;
  }

  run(oriel: OrielProcess): void {
    try {
      for (let step = 0; step < STEPS; step++) this.#step();
      this.#compare(true);
      this.#session.client.unmount();
      const atRest = oriel.descriptors;
      this.#session.checkFrontEnd();
      this.#session.mount();
      this.#session.client.unmount();
      same('descriptors of the back-end after another session', oriel.descriptors.join(' '), atRest.join(' '));
    } finally {
      this.#session[Symbol.dispose]();
    }
  }

  #step(): void {
    const action = this.#random.weighted(WEIGHTS);
    this.#tally.did(action);
    if (action in DATA) actOnData(this.#session, action as DataAction);
    else if (action in NAMES) actOnNames(this.#session, action as NameAction);
    else if (action in MACHINE) actOnMachine(this.#session, action as MachineAction);
    else this.#rest(action as keyof typeof REST);
  }

  #rest(action: keyof typeof REST): void {
    switch (action) {
      case 'removeOne':
        this.#session.slots.removeOne();
        break;
      case 'compare':
        this.#compare(this.#random.once(5));
        break;
      case 'remount':
        this.#session.client.unmount();
        this.#newSession();
        break;
      case 'reset':
        this.#session.vm.reset();
        this.#newSession();
        break;
      case 'crash': {
        const { around } = this.#session;
        this.#session.checkFrontEnd();
        this.#session.vm.crash();
        this.#session = new Session(around);
        this.#nothingUnsynced();
        break;
      }
    }
  }

  /** What was stored in copies is in the files now: their ranges were removed with the session. */
  #newSession(): void {
    this.#session.mount();
    this.#nothingUnsynced();
  }

  #nothingUnsynced(): void {
    for (const file of this.#session.around.tree.files()) file.unsynced = false;
    this.#host.check(this.#session.around.tree.root);
  }

  /** @param whole - by READ, too */
  #compare(whole: boolean): void {
    const { tree } = this.#session.around;
    for (const file of tree.files()) this.#session.sync(file);
    this.#host.check(tree.root);
    for (const directory of tree.directories()) list(this.#session, directory);
    if (whole) for (const file of tree.files()) readAll(this.#session, file);
  }
}
