/** A write to the end of a file, by a process that is killed at any step of it: the bytes stand there once. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { O_APPEND, O_DIRECT, O_RDWR, O_WRONLY } from '@oriel/sys';
import { expect } from 'chai';
import { checkLeaks } from './support/leaks.ts';
import { Survivor } from './support/survivor.ts';

const ROOT = 1;
/** What O_DIRECT wants on any disk. */
const BLOCK = 4096;
const BEFORE = Buffer.alloc(BLOCK, 'before');
const DATA = Buffer.concat([Buffer.alloc(BLOCK, 'one'), Buffer.alloc(BLOCK, 'two')]);

const HANDLES: readonly [string, number][] = [
  ['for reading and writing', O_RDWR | O_APPEND],
  ['for writing only', O_WRONLY | O_APPEND],
  ['with O_DIRECT', O_RDWR | O_APPEND | O_DIRECT],
  ['with O_DIRECT, for writing only', O_WRONLY | O_APPEND | O_DIRECT],
];

describe('an append by a process that is killed', () => {
  let base: string;
  checkLeaks();
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'oriel-appends-'));
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  /**
   * Appends at every step at which a process may end.
   * @param meanwhile - what becomes of the file before the next process looks
   * @returns what the file holds after each
   */
  const contents = (flags: number, meanwhile = (_path: string): void => {}): Buffer[] => {
    const found: Buffer[] = [];
    let steps = 1;
    for (let step = 0; step <= steps; step++) {
      const dir = join(base, `step${step}`);
      const path = join(dir, 'file');
      mkdirSync(dir);
      writeFileSync(path, BEFORE);
      using survivor = new Survivor(dir, { allowDirectIo: true });
      const { request } = survivor;
      const { nodeid } = survivor.call(request.lookup(ROOT, 'file')).readEntry();
      const opened = survivor.call(request.open(nodeid, flags));
      expect(opened.error).to.equal(0);
      request.write(nodeid, opened.fh, 0, DATA.length, flags);
      if (step === 0) {
        steps = survivor.stepsOf(request, DATA).steps;
        continue;
      }
      const reply = survivor.killedAt(step, request, DATA, () => meanwhile(path));
      expect(reply.error, `killed at step ${step}`).to.equal(0);
      expect(reply.count, `killed at step ${step}`).to.equal(DATA.length);
      found.push(readFileSync(path));
    }
    expect(steps).to.be.above(3);
    return found;
  };

  for (const [name, flags] of HANDLES) {
    it(`stands once in a file that was opened ${name}`, () => {
      for (const content of contents(flags)) expect(content.equals(Buffer.concat([BEFORE, DATA]))).to.equal(true);
    });

    it(`that was done in part is made whole in a file that was opened ${name}`, () => {
      let cut = 0;
      const halves = contents(flags, (path) => {
        // Behind the write itself: later the record says that the request is done.
        if (readFileSync(path).length > BLOCK && cut++ === 0) truncateSync(path, 2 * BLOCK);
      });
      expect(cut).to.be.above(0);
      for (const content of halves) expect(content.equals(Buffer.concat([BEFORE, DATA]))).to.equal(true);
    });
  }
});
