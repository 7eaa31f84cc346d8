import { spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSys } from '@oriel/sys';
import { canGuard, canSandbox, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { askControl } from '../src/control/client.ts';
import { openSession } from './fixtures/fs-session.ts';
import { SUBORDINATE } from './fixtures/plain-user.ts';
import { Program } from './fixtures/program.ts';

const MAIN = new URL('../src/main.ts', import.meta.url).pathname;
const isRoot = process.getuid?.() === 0;
/** With the rights that it takes: a container's root has not. */
const mayShutIn = isRoot && canSandbox();
/** proc_pid_status(5). */
const FILTERED = '2';
/** chown, dac_override, fowner, fsetid, setgid, setuid, mknod, setfcap; dac_read_search for file handles. */
const KEPT = '00000000880000db';
const KEPT_WITH_HANDLES = '00000000880000df';

const link = (pid: number, name: string): string => readlinkSync(`/proc/${pid}/${name}`);
const mounts = (pid: number | 'self'): string[] =>
  readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[4]!);

/** A field of the status of each thread; the same for all. */
function status(pid: number, field: string): string {
  const values = readdirSync(`/proc/${pid}/task`).map((task) => {
    const text = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
    return new RegExp(`^${field}:\\s+(\\S+)`, 'm').exec(text)![1]!;
  });
  return [...new Set(values)].join();
}

/** Directories that a process has open, as it sees them. */
function openDirectories(pid: number): string[] {
  const fds = readdirSync(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`);
  // One that is closed meanwhile is none.
  const directories = fds.filter((fd) => statSync(fd, { throwIfNoEntry: false })?.isDirectory() === true);
  return [...new Set(directories.map((fd) => readlinkSync(fd)))].sort();
}

function children(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/** A process and all that it has started, as a control group has them. */
function group(pid: number): number[] {
  return [pid, ...children(pid).flatMap(group)];
}

describe('oriel fs in a sandbox, from outside', function () {
  this.timeout(30_000);
  let dir: TempDir;
  let share: string;
  let socketPath: string;
  let control: string;
  const programs: Program[] = [];

  beforeEach(() => {
    dir = tempDir();
    share = join(dir.path, 'share');
    socketPath = join(dir.path, 'fs.sock');
    control = join(dir.path, 'control');
    mkdirSync(share);
  });
  afterEach(async () => {
    for (const program of programs.splice(0)) {
      program.child.kill('SIGKILL');
      await program.end();
    }
    dir[Symbol.dispose]();
  });

  /** @param by - what the program is started by */
  function start(
    args: readonly string[],
    window: readonly string[] = ['--window=0'],
    by: readonly string[] = [],
  ): Program {
    const usual = [`--socket-path=${socketPath}`, `--shared-dir=${share}`, '--tag=home', `--control-socket=${control}`];
    const node = [process.execPath, '--conditions=@oriel/source', MAIN];
    const program = Program.ofCommand([...by, ...node, 'fs', ...usual, ...window, ...args]);
    programs.push(program);
    return program;
  }

  /** Resolves when the door is closed: then a request is answered. */
  async function serves(program: Program): Promise<number> {
    await program.says('listening');
    expect(openSession(socketPath)).to.include({ tag: 'home', error: 0 });
    return program.child.pid!;
  }

  /** @param pids - who is told to end */
  async function endsWithoutTrace(program: Program, pids: readonly number[] = [program.child.pid!]): Promise<void> {
    // Others may mount in directories of their own meanwhile.
    const hostMounts = (): string[] => mounts('self').filter((path) => !path.startsWith(`${tmpdir()}/`));
    const before = hostMounts();
    for (const pid of pids) process.kill(pid, 'SIGTERM');
    // The end of its standard error, which everybody has whom it started.
    expect(await program.end(), program.stderr).to.include({ code: 0 });
    expect(pids.filter((pid) => existsSync(`/proc/${pid}/exe`))).to.deep.equal([]);
    expect(existsSync(socketPath) || existsSync(control)).to.equal(false);
    expect(hostMounts()).to.deep.equal(before);
    expect(mounts('self').join()).to.not.include(dir.path);
    expect(readdirSync(dir.path)).to.deep.equal(['share']);
  }

  it('has namespaces of its own, an empty root, few rights in every thread, and goes on talking', async function () {
    if (!mayShutIn) this.skip();
    const program = start(['--sandbox=namespace', '--inode-file-handles=never']);
    const pid = await serves(program);
    for (const kind of ['mnt', 'net', 'ipc']) {
      expect(link(pid, `ns/${kind}`), kind).to.not.equal(link(process.pid, `ns/${kind}`));
    }
    expect(mounts(pid)).to.have.members(['/', share, '/proc/self/fd']);
    expect(readdirSync(`/proc/${pid}/root`).sort()).to.deep.equal(['proc', share.split('/')[1]].sort());
    expect(link(pid, 'cwd')).to.equal('/');
    expect(openDirectories(pid)).to.deep.equal(['/proc/self/fd', share].sort());
    for (const set of ['CapEff', 'CapPrm', 'CapBnd']) {
      expect(status(pid, set), set).to.equal(KEPT);
    }
    expect(status(pid, 'Seccomp')).to.equal(FILTERED);
    expect(status(pid, 'NoNewPrivs')).to.equal('1');
    expect(children(pid), 'the one who removes the sockets').to.have.length(1);
    expect((await askControl(control, { command: 'stats' })).length).to.equal(1);
    program.child.kill('SIGUSR2');
    await program.says('counters');
    await endsWithoutTrace(program);
  });

  it('keeps no descriptor that it was started with by mistake, or that its start took', async function () {
    if (!mayShutIn) this.skip();
    for (const path of [dir.path, share]) chownSync(path, SUBORDINATE, SUBORDINATE);
    const maps = ['uid', 'gid'].map((kind) => `--${kind}-map=:0:${SUBORDINATE}:65536:`);
    // Beyond the first ones, which Node closes, and behind a gap.
    const program = start(maps, undefined, ['bash', '-c', 'exec 99</etc && exec "$@"', 'bash']);
    const pid = await serves(program);
    expect(openDirectories(pid)).to.deep.equal(['/proc/self/fd', share].sort());
    const pipes = readdirSync(`/proc/${pid}/fd`)
      .map((fd) => statSync(`/proc/${pid}/fd/${fd}`, { throwIfNoEntry: false }))
      .flatMap((found) => (found?.isFIFO() === true ? [found.ino] : []));
    const single = pipes.filter((pipe) => pipes.indexOf(pipe) === pipes.lastIndexOf(pipe));
    expect(single, 'two of the cleaner, one of whoever pivots').to.have.length(3);
    await endsWithoutTrace(program);
  });

  it('is shut in by the kernel for a user without any right', async function () {
    if (isRoot) {
      chownSync(dir.path, 1000, 1000);
      chownSync(share, 1000, 1000);
    }
    const own = isRoot ? ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups'] : [];
    if (spawnSync('/usr/bin/env', [...own, 'unshare', '--user', '--mount', 'true']).status !== 0) {
      this.skip();
    }
    const user = isRoot ? { uid: 1000, gid: 1000 } : {};
    const usual = [`--socket-path=${socketPath}`, `--shared-dir=${share}`, '--tag=home', `--control-socket=${control}`];
    const program = new Program(MAIN, ['fs', ...usual, '--window=0', '--sandbox=namespace'], [], {}, user);
    programs.push(program);
    const pid = await serves(program);
    expect(link(pid, 'ns/user')).to.not.equal(link(process.pid, 'ns/user'));
    expect(readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split(/\s+/)).to.deep.equal([
      '0',
      String(user.uid ?? process.getuid!()),
      '1',
    ]);
    expect(mounts(pid)).to.have.members(['/', share, '/proc/self/fd']);
    expect(status(pid, 'Seccomp')).to.equal(FILTERED);
    await endsWithoutTrace(program);
  });

  it('has the share for its root (chroot)', async function () {
    if (!mayShutIn) this.skip();
    const program = start(['--sandbox=chroot']);
    const pid = await serves(program);
    expect(link(pid, 'root')).to.equal(share);
    expect(link(pid, 'cwd')).to.equal(share);
    const device = readdirSync(`/proc/${pid}/task`).map((task) => link(pid, `task/${task}/root`));
    expect(new Set(device)).to.deep.equal(new Set([share]));
    expect(status(pid, 'Seccomp')).to.equal(FILTERED);
    expect(status(pid, 'CapEff').split(',')).to.include(KEPT_WITH_HANDLES);
    await endsWithoutTrace(program);
  });

  it('is started again by --restart, and shut in again', async function () {
    if (!mayShutIn) this.skip();
    const program = start(['--sandbox=chroot', '--restart=on-failure', '--log-format=json']);
    await program.says('is ready');
    const pid = Number(/"pid":(\d+)[^\n]*listening/.exec(program.stderr)![1]);
    expect(link(pid, 'root')).to.equal(share);
    process.kill(pid, 'SIGKILL');
    await program.says('starts again');
    while (program.stderr.match(/is ready/g)!.length < 2) {
      await new Promise((heard) => program.child.stderr!.once('data', heard));
    }
    const next = Number([...program.stderr.matchAll(/"pid":(\d+)[^\n]*listening/g)].at(-1)![1]);
    expect(next).to.not.equal(pid);
    expect(link(next, 'root')).to.equal(share);
    await endsWithoutTrace(program);
  });

  for (const [what, args, guarded] of [
    ['alone', [], false],
    ['guarded', [], true],
    ['guarded, with --restart', ['--restart=on-failure'], true],
  ] as const) {
    it(`ends without trace when a service manager tells all of its processes at once (${what})`, async function () {
      if (!mayShutIn || (guarded && !canGuard(openSys(), share))) this.skip();
      const program = start(args, guarded ? ['--window=8M', '--dax-tail=copy'] : undefined);
      await program.says(args.length > 0 ? 'is ready' : 'listening');
      expect(openSession(socketPath)).to.include({ tag: 'home', error: 0 });
      const pids = group(program.child.pid!);
      expect(pids).to.have.length(2 + (guarded ? 1 : 0) + args.length);
      await endsWithoutTrace(program, pids);
      expect(program.stderr).to.not.match(/ error |has gone|may stay|killed/);
    });
  }

  it('says so when nobody is left to remove its socket files, and ends well', async function () {
    if (!mayShutIn) this.skip();
    const program = start([]);
    const [cleaner] = children(await serves(program));
    process.kill(cleaner!, 'SIGKILL');
    expect(await program.stop('SIGTERM'), program.stderr).to.include({ code: 0 });
    expect(program.stderr).to.include('socket files may stay').and.not.include('bug');
    expect(existsSync(socketPath)).to.equal(true);
  });

  for (const [mode, seen] of [
    ['namespace', { before: 'file', after: undefined }],
    ['chroot', { before: undefined, after: 'file' }],
  ] as const) {
    it(`has what was mounted in the share ${mode === 'chroot' ? 'at any time' : 'when it started alone'} (${mode})`, async function () {
      if (!mayShutIn) this.skip();
      for (const name of ['before', 'after']) mkdirSync(join(share, name));
      const taken: string[] = [];
      const run = (command: string, ...args: string[]): void => {
        expect(spawnSync(command, args, { encoding: 'utf8' }).stderr).to.equal('');
      };
      const mountAt = (path: string): void => {
        run('mount', '-t', 'tmpfs', 'tmpfs', path);
        taken.push(path);
        writeFileSync(join(path, 'file'), '');
      };
      try {
        run('mount', '--bind', share, share);
        taken.push(share);
        run('mount', '--make-shared', share);
        mountAt(join(share, 'before'));
        const pid = await serves(start([`--sandbox=${mode}`]));
        mountAt(join(share, 'after'));
        run('umount', taken.splice(1, 1)[0]!);
        const found = (name: string) => readdirSync(`/proc/${pid}/root${mode === 'chroot' ? '' : share}/${name}`)[0];
        expect({ before: found('before'), after: found('after') }).to.deep.equal(seen);
        if (mode === 'namespace') {
          const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
            .split('\n')
            .filter((line) => line.includes(share));
          for (const line of lines) expect(line).to.match(/ rw,nosuid,nodev/);
        }
      } finally {
        for (const program of programs) await program.stop('SIGTERM');
        for (const path of taken.reverse()) run('umount', path);
      }
    });
  }
});
