import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { Fd, openSys } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { HeldDescriptors } from '../src/launcher/held-descriptors.ts';
import { parseNotifyMessage } from '../src/launcher/notify-message.ts';
import { HANDED_OVER, RestartPolicy } from '../src/launcher/restart-policy.ts';
import { Program } from './fixtures/program.ts';

const sys = openSys();
const message = (text: string) => parseNotifyMessage(new TextEncoder().encode(text));

describe('a launcher', () => {
  it('reads what systemd would', () => {
    expect(message('READY=1\nSTATUS=fine')).to.deep.equal({ ready: true, store: null, remove: null });
    expect(message('FDSTORE=1\nFDNAME=fs.state\nFDPOLL=0')).to.deep.include({ store: 'fs.state', remove: null });
    expect(message('FDSTOREREMOVE=1\nFDNAME=fs.state')).to.deep.include({ store: null, remove: 'fs.state' });
    expect(message('FDSTORE=1')).to.deep.include({ store: 'stored' });
    expect(message('FDNAME=a:b\nFDSTORE=1')).to.deep.include({ store: 'stored' });
    expect(message('READY=0\nFDSTORE=\nFDNAME')).to.deep.equal({ ready: false, store: null, remove: null });
  });

  it('holds what it is told to', async () => {
    const leaks = leakCheck();
    {
      using held = new HeldDescriptors();
      const fd = () => new Fd(sys.fd, sys.mem.memfdCreate('held', 1));
      expect(held.take(message('FDSTORE=1\nFDNAME=a'), [fd(), fd()])).to.equal(0);
      expect(held.take(message('FDSTORE=1\nFDNAME=b'), [fd()])).to.equal(0);
      expect(held.take(message('READY=1'), [fd()])).to.equal(1);
      expect(held.list().names).to.deep.equal(['a', 'a', 'b']);
      held.take(message('FDSTOREREMOVE=1\nFDNAME=a'), []);
      expect(held.list()).to.have.property('names').deep.equal(['b']);
    }
    await leaks.settled();
  });

  it('holds no more names than a start can be told of, and says what it dropped', async () => {
    const leaks = leakCheck();
    {
      using held = new HeldDescriptors();
      const fd = () => new Fd(sys.fd, sys.mem.memfdCreate('held', 1));
      let dropped = 0;
      for (let at = 0; at < 1000; at++) {
        dropped += held.take(message(`FDSTORE=1\nFDNAME=${'x'.repeat(200)}${at}`), [fd()]);
      }
      expect(dropped).to.be.above(0);
      expect(held.take(message(`FDSTORE=1\nFDNAME=${'y'.repeat(220)}`), [fd()]), 'there is no room').to.equal(1);
      dropped++;
      const { names, fds } = held.list();
      const env = { LISTEN_FDNAMES: names.join(':') };
      expect(execFileSync('/usr/bin/env', { env, encoding: 'utf8' })).to.equal(
        `LISTEN_FDNAMES=${env.LISTEN_FDNAMES}\n`,
      );
      expect(fds.length + dropped).to.equal(1001);
      held.take(message(`FDSTOREREMOVE=1\nFDNAME=${names[0]}`), []);
      expect(held.take(message('FDSTORE=1\nFDNAME=short'), [fd()])).to.equal(0);
      expect(held.take(message('FDSTORE=1\nFDNAME=lost on the way'), []), 'its descriptor did not arrive').to.equal(1);
    }
    await leaks.settled();
  });

  it('starts again what died after it served, at once or with more and more patience', () => {
    const policy = new RestartPolicy();
    const end = (code: number | null, livedMs: number) =>
      policy.judge({ code, signal: code === null ? 9 : null, livedMs });
    expect(end(1, 5000)).to.deep.equal({ again: false, status: 1 });
    policy.ready();
    expect(end(0, 5000)).to.deep.equal({ again: false, status: 0 });
    expect(end(2, 5000)).to.deep.equal({ again: false, status: 2 });
    expect(end(null, 5000)).to.deep.equal({ again: true, delayMs: 0 });
    expect([1, 2, 3].map(() => end(null, 10))).to.deep.equal(
      [100, 200, 400].map((delayMs) => ({ again: true, delayMs })),
    );
    for (let count = 0; count < 9; count++) {
      end(1, 10);
    }
    expect(end(1, 10)).to.deep.equal({ again: true, delayMs: 5000 });
    expect(end(HANDED_OVER, 10)).to.deep.equal({ again: true, delayMs: 0 });
    expect(end(1, 1000)).to.deep.equal({ again: true, delayMs: 0 });
    expect(end(1, 10)).to.deep.equal({ again: true, delayMs: 100 });
    policy.stopping();
    expect(end(null, 5000)).to.deep.equal({ again: false, status: 137 });
    expect(end(HANDED_OVER, 5000)).to.deep.equal({ again: false, status: HANDED_OVER });
  });
});

describe('a launcher, the program', function () {
  this.timeout(20_000);
  const dir = tempDir();
  const programs: Program[] = [];
  after(() => dir[Symbol.dispose]());
  afterEach(async () => {
    for (const program of programs.splice(0)) {
      program.child.kill('SIGTERM');
      await program.end();
    }
  });

  function start(...args: readonly string[]): Program {
    const child = new URL('./fixtures/launched-child.ts', import.meta.url).pathname;
    const command = [process.execPath, '--conditions=@oriel/source', child, ...args];
    const program = new Program('./launch.ts', command, [], { XDG_RUNTIME_DIR: dir.path });
    programs.push(program);
    return program;
  }

  const pidIn = (text: string, life: number): number => Number(new RegExp(`life ${life} pid (\\d+)`).exec(text)![1]);

  it('starts a child again with what it holds, whether it failed or was killed', async () => {
    const program = start('7', '2');
    await program.says('life 2');
    expect(program.stderr).to.match(/life 1 pid \d+ holds count,gone env ;/);
    expect(program.stderr).to.match(/life 2 pid \d+ holds count env ;/);
    expect(program.stderr).to.include('ended with status 7');
    process.kill(pidIn(program.stderr, 2), 'SIGKILL');
    await program.says('life 3');
    expect(program.stderr)
      .to.include('ended with SIGKILL')
      .and.match(/life 3 pid \d+ holds count env ;/);
    program.child.kill('SIGUSR2');
    await program.says('heard SIGUSR2;');
    expect(await program.stop('SIGTERM')).to.include({ code: 0 });
    expect(readdirSync(dir.path)).to.deep.equal([]);
  });

  it('ends with what never served, and with its status', async () => {
    const program = start('2', '9');
    expect(await program.end()).to.include({ code: 2 });
    expect(program.stderr).to.include('life 1').and.not.include('life 2');
  });

  it('starts the next version at once when one hands over', async () => {
    const program = start(String(HANDED_OVER), '3');
    await program.says('life 3');
    expect(await program.stop('SIGTERM')).to.include({ code: 0 });
  });

  it('says why nothing can be started', async () => {
    const program = new Program('./launch.ts', ['/nonexistent/program']);
    programs.push(program);
    expect(await program.end()).to.include({ code: 127 });
  });
});
