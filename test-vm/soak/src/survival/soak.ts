/**
 * The disk of the examples, its process killed at any moment while a front-end that comes back has requests under way: each is
 * answered once and right, and at the end the file is what the model says. A round is a kill.
 */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { ServedProgram } from '@oriel/virtio-device/testing';
import { example } from '../../../../packages/virtio-device/test/examples.ts';
import { Survivor } from '../../../../packages/virtio-device/test/survivor.ts';
import type { Xorshift } from '../random.ts';
import type { SoakRun, Tally } from '../soak.ts';

const DISK_BYTES = 4 << 20;
/** Requests under way in each queue. */
const DEPTH = 24;
const MOST_ANSWERS = 400;
const TURN_MS = 1000;

/** One guest with its disk. */
class Disk {
  readonly guest: Survivor;
  readonly #path: string;
  readonly #socketPath: string;
  #program: ServedProgram;
  #random: Xorshift | null = null;
  #kills = 0;

  private constructor(
    paths: { readonly path: string; readonly socketPath: string },
    packed: boolean,
    program: ServedProgram,
  ) {
    this.#path = paths.path;
    this.#socketPath = paths.socketPath;
    this.#program = program;
    const roll = (limit: number): number => this.#random!.below(limit);
    this.guest = new Survivor({ socketPath: this.#socketPath, size: DISK_BYTES, packed, roll });
  }

  static async open(dir: string, name: string, packed: boolean): Promise<Disk> {
    const paths = { path: join(dir, `${name}.img`), socketPath: join(dir, `${name}.sock`) };
    writeFileSync(paths.path, '');
    truncateSync(paths.path, DISK_BYTES);
    const program = await ServedProgram.start(example('serve-blk.ts'), '--survive', paths.path, paths.socketPath);
    return new Disk(paths, packed, program);
  }

  async kill(random: Xorshift, tally: Tally): Promise<void> {
    const { guest } = this;
    this.#random = random;
    const before = guest.answered;
    const wanted = before + random.below(MOST_ANSWERS);
    while (guest.answered < wanted || guest.frontend.connections <= this.#kills) {
      guest.fill(DEPTH);
      guest.turn(TURN_MS);
    }
    guest.fill(DEPTH);
    this.#program.child.kill('SIGKILL');
    await this.#program.ended;
    guest.turn(0);
    tally.did('kill');
    tally.saw('answered', guest.answered - before);
    if (guest.busy) {
      tally.saw('left in flight');
    }
    this.#kills++;
    this.#program = await ServedProgram.start(example('serve-blk.ts'), '--survive', this.#path, this.#socketPath);
  }

  /** Lets it finish. @throws Error when the file is not what the guest wrote */
  async close(): Promise<void> {
    try {
      using guest = this.guest;
      while (guest.busy) {
        guest.turn(TURN_MS);
      }
      if (!readFileSync(this.#path).equals(guest.model)) {
        throw new Error(`${this.#path} is not what was written, after ${this.#kills} kills`);
      }
    } finally {
      await this.#program[Symbol.asyncDispose]();
    }
  }
}

class SurvivalSoak implements SoakRun {
  readonly #dir: TempDir;
  readonly #disks: ReadonlyMap<string, Disk>;

  constructor(dir: TempDir, disks: ReadonlyMap<string, Disk>) {
    this.#dir = dir;
    this.#disks = disks;
  }

  async round(random: Xorshift, tally: Tally): Promise<void> {
    const names = [...this.#disks.keys()];
    const name = names[random.below(names.length)]!;
    tally.saw(name);
    await this.#disks.get(name)!.kill(random, tally);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      for (const disk of this.#disks.values()) {
        await disk.close();
      }
    } finally {
      this.#dir[Symbol.dispose]();
    }
  }
}

export const wanted = ['kill', 'answered', 'left in flight', 'split', 'packed'] as const;
export const enough = 20;

/** Starts a back-end and a guest for each format of the rings. */
export async function open(): Promise<SoakRun> {
  const dir = tempDir();
  const disks = new Map([
    ['split', await Disk.open(dir.path, 'split', false)],
    ['packed', await Disk.open(dir.path, 'packed', true)],
  ]);
  return new SurvivalSoak(dir, disks);
}
