import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { haltProcess, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { ServedProgram } from '../src/testing/index.ts';
import { dice } from './dice.ts';
import { example } from './examples.ts';
import { Survivor } from './survivor.ts';

const SIZE = 4 << 20;
const KILLS = 20;
const DEPTH = 24;

for (const packed of [false, true]) {
  describe(`a disk whose back-end is killed ${KILLS} times (${packed ? 'packed' : 'split'})`, function () {
    this.timeout(180_000);

    it('answers each request once, and right', async () => {
      using dir = tempDir();
      const [path, socketPath] = [join(dir.path, 'image'), join(dir.path, 'blk.sock')];
      writeFileSync(path, '');
      truncateSync(path, SIZE);
      const start = () => ServedProgram.start(example('serve-blk.ts'), '--survive', path, socketPath);
      const roll = dice(packed ? 815 : 4711);
      let program = await start();
      try {
        using guest = new Survivor({ socketPath, size: SIZE, packed, roll });
        let leftByKills = 0;
        for (let kill = 0; kill < KILLS; kill++) {
          const before = guest.answered;
          const wanted = before + roll(120);
          while (guest.answered < wanted || guest.frontend.connections <= kill) {
            guest.fill(DEPTH);
            guest.turn(1000);
          }
          guest.fill(DEPTH);
          const stops = kill % 2 === 0;
          if (stops) {
            await haltProcess(program.child.pid!);
            // What it had answered by then makes room for requests that it cannot answer.
            guest.turn(0);
            guest.fill(DEPTH);
          }
          program.child.kill('SIGKILL');
          await program.ended;
          guest.turn(0);
          if (stops && guest.busy) leftByKills++;
          program = await start();
        }
        while (guest.busy) guest.turn(1000);
        expect(guest.refusal).to.equal(null);
        expect(guest.frontend.connections).to.equal(KILLS + 1);
        expect(leftByKills).to.equal(KILLS / 2);
        expect(readFileSync(path).equals(guest.model)).to.equal(true);
      } finally {
        await program[Symbol.asyncDispose]();
      }
    });
  });
}
