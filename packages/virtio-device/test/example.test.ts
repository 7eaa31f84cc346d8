import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { ConnectedMachine, ServedProgram } from '../src/testing/index.ts';
import { example } from './examples.ts';
import { sys } from './machine.ts';

describe('the example, as a program', () => {
  it('gives entropy to a front-end over a socket and ends when it leaves', async () => {
    using dir = tempDir();
    const socketPath = join(dir.path, 'rng.sock');
    await using program = await ServedProgram.start(example('serve-rng.ts'), socketPath);
    const leaks = leakCheck();
    {
      using machine = new ConnectedMachine({ sys, socketPath });
      const { written, bytes } = machine.ask(machine.start(0), [], [64, 64]);
      expect(written).to.equal(128);
      expect(new Set(bytes).size).to.be.greaterThan(16);
    }
    leaks.check();
    expect(await program.ended).to.deep.equal([0, null]);
    expect(existsSync(socketPath)).to.equal(false);
  });

  it('is looked for where nobody listens, and nothing stays open', () => {
    using dir = tempDir();
    const leaks = leakCheck();
    expect(() => new ConnectedMachine({ sys, socketPath: join(dir.path, 'none') })).to.throw('ENOENT');
    leaks.check();
  });
});
