import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openSys } from '@oriel/sys';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { ConnectedMachine } from '@oriel/virtio-device/testing';
import { expect } from 'chai';
import { askControl } from '../src/control/client.ts';
import { Program } from './fixtures/program.ts';

const sys = openSys();

describe('a launched program', function () {
  this.timeout(30_000);
  let dir: TempDir;
  let socketPath: string;
  let control: string;
  let program: Program;

  const pids = (): number[] =>
    [...program.stderr.matchAll(/"pid":(\d+)[^\n]*listening/g)].map(([, pid]) => Number(pid));

  async function lives(count: number): Promise<void> {
    while (pids().length < count) {
      await new Promise((heard) => program.child.stderr!.once('data', heard));
    }
  }

  function random(machine: ConnectedMachine, len: number): number {
    const driver = machine.start(0);
    return machine.ask(driver, [], [len]).written;
  }

  beforeEach(async () => {
    dir = tempDir();
    socketPath = join(dir.path, 'rng.sock');
    control = join(dir.path, 'control');
    const child = new URL('./fixtures/run-rng.ts', import.meta.url).pathname;
    const plan = JSON.stringify({ socketPath, controlSocket: control });
    const command = [process.execPath, '--conditions=@oriel/source', child, plan];
    program = new Program('./launch.ts', command, [], { XDG_RUNTIME_DIR: dir.path });
    await program.says('is ready');
  });
  afterEach(async () => {
    program.child.kill('SIGTERM');
    await program.end();
    dir[Symbol.dispose]();
  });

  it('goes on with its front-end in another process after a hand-over', async () => {
    using machine = new ConnectedMachine({ sys, socketPath });
    const driver = machine.start(0);
    expect(machine.ask(driver, [], [16]).written).to.equal(16);
    for (let count = 1; count <= 3; count++) {
      expect(await askControl(control, { command: 'handover' })).to.deep.equal([]);
      expect(machine.ask(driver, [], [32]).written, program.stderr).to.equal(32);
    }
    expect(machine.mock.frontend.closed).to.equal(false);
  });

  it('is there again on the same socket after it was killed, also for who waited meanwhile', async () => {
    for (let count = 1; count <= 3; count++) {
      {
        using machine = new ConnectedMachine({ sys, socketPath });
        expect(random(machine, 16)).to.equal(16);
      }
      process.kill(pids().at(-1)!, 'SIGKILL');
      using waiting = new ConnectedMachine({ sys, socketPath });
      expect(random(waiting, 16)).to.equal(16);
      await lives(count + 1);
    }
    expect(await askControl(control, { command: 'devices' })).to.have.length(1);
    expect(await program.stop('SIGTERM')).to.include({ code: 0 });
    expect([socketPath, control].filter((path) => existsSync(path))).to.deep.equal([]);
  });
});

describe('oriel with --restart=on-failure', function () {
  this.timeout(30_000);

  it('serves again after it was killed, and ends when it is told', async () => {
    using dir = tempDir();
    const socketPath = join(dir.path, 'gpu.sock');
    const args = ['gpu', `--socket-path=${socketPath}`, '--restart=on-failure', '--log-format=json'];
    const program = new Program('../../src/main.ts', args, [], { XDG_RUNTIME_DIR: dir.path });
    try {
      await program.says('is ready');
      const pid = Number(/"pid":(\d+)[^\n]*listening/.exec(program.stderr)![1]);
      expect(pid).to.not.equal(program.child.pid);
      process.kill(pid, 'SIGKILL');
      await program.says('ended with SIGKILL');
      using _waiting = new ConnectedMachine({ sys, socketPath });
      while (program.stderr.match(/listening/g)!.length < 2) {
        await new Promise((heard) => program.child.stderr!.once('data', heard));
      }
      expect(await program.stop('SIGTERM')).to.include({ code: 0 });
      expect(readdirSync(dir.path)).to.deep.equal([]);
    } finally {
      program.child.kill('SIGTERM');
      await program.end();
    }
  });

  it('ends with what is wrong with its options', async () => {
    const program = new Program('../../src/main.ts', ['gpu', '--fd=0', '--restart=on-failure']);
    expect(await program.end()).to.include({ code: 2 });
    const other = new Program('../../src/main.ts', ['gpu', '--socket-path=/nonexistent/s', '--restart=on-failure']);
    expect(await other.end()).to.include({ code: 1 });
    expect(other.stderr).to.include('ENOENT').and.not.include('starts again');
  });
});
