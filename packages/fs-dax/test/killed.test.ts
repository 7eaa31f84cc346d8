import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DAX_RANGE, type GrowthStep } from '../src/index.ts';
import { ALWAYS, PAGE, Rig } from './support/rig.ts';

const SIZE = 5 * PAGE + 123;
const script = fileURLToPath(new URL('support/doomed.ts', import.meta.url));

/** The file's size when the process dies at each step. */
const STEPS: readonly [GrowthStep, number][] = [
  ['recorded', SIZE],
  ['grown', DAX_RANGE],
  ['mapped', DAX_RANGE],
  ['shrunk', SIZE],
  ['cleared', SIZE],
];

describe('a process that is killed in the middle of a growth', () => {
  let dir: TempDir;
  let odd: string;

  beforeEach(() => {
    dir = tempDir();
    mkdirSync(join(dir.path, 'share'));
    odd = join(dir.path, 'share/odd');
    writeFileSync(odd, Buffer.alloc(SIZE, 'o'));
  });
  afterEach(() => dir[Symbol.dispose]());

  async function die(step: GrowthStep): Promise<void> {
    const args = ['-C', '@oriel/source', '--disable-warning=ExperimentalWarning', script, dir.path, step];
    const child = spawn(process.execPath, args, { stdio: 'inherit' });
    const [code, signal] = await once(child, 'exit');
    expect([code, signal]).to.deep.equal([null, 'SIGKILL']);
  }

  /** The next start. @returns what it says */
  function startAgain(): string[] {
    using rig = new Rig({ at: dir.path, dax: { tail: 'grow' } });
    return rig.lines;
  }

  for (const [step, sizeAtDeath] of STEPS) {
    it(`leaves a file that the next start mends: at '${step}'`, async () => {
      await die(step);
      expect(statSync(odd).size).to.equal(sizeAtDeath);
      const lines = startAgain();
      expect(readFileSync(odd).equals(Buffer.alloc(SIZE, 'o'))).to.equal(true);
      expect(lines.some((line) => line.startsWith('shortened a file'))).to.equal(sizeAtDeath !== SIZE);
      writeFileSync(odd, Buffer.alloc(DAX_RANGE));
      startAgain();
      expect(statSync(odd).size, 'mended once').to.equal(DAX_RANGE);
    });
  }

  it('leaves a file alone to which somebody wrote behind its true end since', async () => {
    await die('grown');
    const fd = openSync(odd, 'r+');
    writeSync(fd, 'a log line', SIZE);
    closeSync(fd);
    const lines = startAgain();
    expect(readFileSync(odd).toString('utf8', SIZE, SIZE + 10)).to.equal('a log line');
    expect(lines.some((line) => line.includes('wrote behind its end'))).to.equal(true);
  });

  it('is mended when a file that was moved away is back', async () => {
    await die('mapped');
    renameSync(odd, `${odd}.away`);
    expect(startAgain().some((line) => line.includes('may still be longer'))).to.equal(true);
    renameSync(`${odd}.away`, odd);
    startAgain();
    expect(statSync(odd).size).to.equal(SIZE);
  });

  it('does not keep another process from growing files meanwhile', async () => {
    using other = await Rig.mounted(ALWAYS, { at: dir.path, dax: { tail: 'grow' } });
    await die('grown');
    writeFileSync(other.path('own'), 'own');
    expect(await other.map(await other.lookup('own'), 0, 0)).to.equal(0);
    startAgain();
    expect([statSync(odd).size, statSync(other.path('own')).size]).to.deep.equal([SIZE, 3]);
  });
});
