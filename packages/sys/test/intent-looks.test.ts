/** Looks at a thread that has asked, and does not sleep yet. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { syscallLineOfAsking } from '../src/fanotify/intent.ts';

const LOOK_MS = 400;
/** A shell is busy with them for some tenths of a second. */
const TURNS = 100_000;
const LONG_MS = 30_000;

describe('the system call of a thread that has just asked', function () {
  this.timeout(2 * LONG_MS);
  let child: ChildProcess;

  const start = async (command: string, ...args: string[]): Promise<number> => {
    child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout!, 'data');
    return child.pid!;
  };
  afterEach(async () => {
    child.kill('SIGKILL');
    await once(child, 'close');
  });

  it('is looked for until the thread sleeps', async () => {
    const pid = await start('sh', '-c', `echo up; i=0; while [ $i -lt ${TURNS} ]; do i=$((i+1)); done; exec sleep 60`);
    expect(syscallLineOfAsking(pid, LONG_MS)).to.match(/^\d+ 0x/);
  });

  it('is given up in time', async () => {
    const pid = await start('sh', '-c', 'echo up; while :; do :; done');
    const from = performance.now();
    expect(syscallLineOfAsking(pid, LOOK_MS)).to.equal('running');
    expect(performance.now() - from).to.be.at.least(LOOK_MS);
  });
});
