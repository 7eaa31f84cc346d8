/** READDIRPLUS by a process that is killed at any step of it: what the guest was told of is known as often as it was told. */
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SessionHooks } from '@oriel/fuse';
import type { DirRecord, ReplyDecoder } from '@oriel/fuse/client';
import { EBADF } from '@oriel/sys';
import { expect } from 'chai';
import { checkLeaks } from './support/leaks.ts';
import { Survivor } from './support/survivor.ts';

const ROOT = 1;
const NAMES = ['a', 'b', 'c', 'd'];
const ROOM = 4096;
/** For some of the records. */
const LITTLE_ROOM = 500;

describe('READDIRPLUS of a process that is killed', () => {
  let base: string;
  checkLeaks();
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'oriel-listings-'));
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  /** A directory in which `a` was looked up once, and is the same file as `b`. */
  const begin = (name: string, hooks: SessionHooks = {}) => {
    const dir = join(base, name);
    mkdirSync(dir);
    for (const file of NAMES) {
      if (file === 'b') linkSync(join(dir, 'a'), join(dir, 'b'));
      else writeFileSync(join(dir, file), file);
    }
    const survivor = new Survivor(dir);
    survivor.hooks = hooks;
    survivor.rebirth();
    const { request } = survivor;
    const known = survivor.call(request.lookup(ROOT, 'a')).readEntry().nodeid;
    const { fh } = survivor.call(request.opendir(ROOT));
    return { dir, survivor, known, fh };
  };
  type Begun = ReturnType<typeof begin>;

  const told = (records: readonly DirRecord[]): number[] =>
    records.flatMap(({ entry }) => (entry === null ? [] : [entry.nodeid]));

  /** The guest forgets all, its own lookup first, and each inode is known until it is forgotten. @returns how many are left */
  const leftBehind = ({ survivor, known, fh }: Begun, nodeids: readonly number[]): number => {
    const { request } = survivor;
    survivor.call(request.forget(known, 1));
    for (const nodeid of nodeids) {
      expect(survivor.call(request.getattr(nodeid)).error, `inode ${nodeid}`).to.equal(0);
      survivor.call(request.forget(nodeid, 1));
    }
    survivor.call(request.releasedir(ROOT, fh));
    return survivor.stats.inodes - 1;
  };

  /** Dies at every step. @param look - gets the records, and what is left when all of them are forgotten */
  const killed = (
    room: number,
    look: (left: number, records: readonly DirRecord[], step: number) => void,
    hooks?: SessionHooks,
    meanwhile = (_dir: string): void => {},
  ): void => {
    let steps = 1;
    for (let step = 0; step <= steps + 1; step++) {
      const begun = begin(`step${step}`, hooks);
      using survivor = begun.survivor;
      const request = survivor.request.readdirplus(ROOT, begun.fh, 0, 0, room);
      if (step === 0) {
        steps = survivor.stepsOf(request).steps;
        continue;
      }
      const reply = survivor.killedAt(step, request, undefined, () => meanwhile(begun.dir));
      expect(reply.error).to.equal(0);
      const records = reply.readRecords();
      look(leftBehind(begun, told(records)), records, step);
    }
    expect(steps).to.be.above(10);
  };

  for (const [name, room] of [
    ['a whole directory', ROOM],
    ['the begin of a directory', LITTLE_ROOM],
  ] as const) {
    it(`counts each entry of ${name} once`, () => {
      killed(room, (left, records, step) => {
        expect(told(records).length).to.be.within(1, room === ROOM ? NAMES.length : NAMES.length - 1);
        expect(left, `killed at step ${step}`).to.equal(0);
      });
    });
  }

  it('counts those not that are given without attributes', () => {
    for (const nlink of [1, 2]) {
      killed(
        ROOM,
        (left, records, step) => {
          expect(told(records).length).to.equal(NAMES.length / 2);
          expect(left, `killed at step ${step}`).to.equal(0);
        },
        { attributes: (_nodeid, attr, inDirectory) => !inDirectory || attr.nlink === nlink },
      );
      rmSync(base, { recursive: true });
      mkdirSync(base);
    }
  });

  it('loses no inode of a directory that changed meanwhile', () => {
    const changes: ((dir: string) => void)[] = [
      (dir) => writeFileSync(join(dir, 'new'), ''),
      (dir) => rmSync(join(dir, 'c')),
      (dir) => {
        rmSync(join(dir, 'd'));
        linkSync(join(dir, 'c'), join(dir, 'd'));
      },
    ];
    for (const change of changes) {
      // What is left was counted by the process that ended, in a listing that is none any more.
      killed(ROOM, (left) => expect(left).to.be.within(0, NAMES.length), undefined, change);
      rmSync(base, { recursive: true });
      mkdirSync(base);
    }
  });

  it('loses no inode when the next process is killed, too', () => {
    const { steps } = (() => {
      const begun = begin('steps');
      using survivor = begun.survivor;
      return survivor.stepsOf(survivor.request.readdirplus(ROOT, begun.fh, 0, 0, ROOM));
    })();
    let twice = 0;
    for (let step = 5; step <= steps; step += 3) {
      for (let second = 1; ; second += 5) {
        const begun = begin(`step${step}.${second}`);
        using survivor = begun.survivor;
        const request = survivor.request.readdirplus(ROOT, begun.fh, 0, 0, ROOM);
        const reply: ReplyDecoder | null = survivor.killedTwiceAt(step, second, request);
        if (reply === null) break;
        twice++;
        leftBehind(begun, told(reply.readRecords()));
      }
    }
    expect(twice).to.be.above(20);
    const begun = begin('control');
    using survivor = begun.survivor;
    leftBehind(begun, []);
    expect(survivor.call(survivor.request.getattr(begun.known)).error).to.equal(EBADF);
  }).timeout(60_000);
});
