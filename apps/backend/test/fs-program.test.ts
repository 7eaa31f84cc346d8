import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { check, Fd, openSys } from '@oriel/sys';
import { canGuard, canSandbox, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { negotiate, openSession } from './fixtures/fs-session.ts';
import { Program } from './fixtures/program.ts';

const MAIN = '../../src/main.ts';
const sys = openSys();

describe('oriel fs, the program', function () {
  this.timeout(60_000);
  let dir: TempDir;
  let options: string[];
  let socketPath: string;
  const programs: Program[] = [];
  const open = canSandbox() ? [] : ['--sandbox=none'];

  function start(args: readonly string[], fds: readonly number[] = []): Program {
    const program = new Program(MAIN, [...args, ...open], fds);
    programs.push(program);
    return program;
  }

  beforeEach(() => {
    dir = tempDir();
    socketPath = join(dir.path, 'fs.sock');
    mkdirSync(join(dir.path, 'share'));
    options = [`--shared-dir=${join(dir.path, 'share')}`, '--tag=home'];
    if (!canGuard(openSys(), dir.path)) options.push('--dax-unguarded');
  });
  afterEach(async () => {
    for (const program of programs.splice(0)) {
      program.child.kill('SIGKILL');
      await program.end();
    }
    dir[Symbol.dispose]();
  });

  it('shares a directory', async () => {
    const program = start(['fs', `--socket-path=${socketPath}`, ...options]);
    await program.says('listening');
    expect(openSession(socketPath)).to.deep.equal({ tag: 'home', error: 0, unique: 77n });
    const end = await program.stop('SIGTERM');
    expect(end.code, program.stderr).to.equal(0);
    expect(existsSync(socketPath)).to.equal(false);
    expect(program.stdout).to.equal('');
  });

  it('agrees with the driver on what its options ask for', async () => {
    const options = ['--posix-acl', '--writeback', '--security-label', '--allow-mmap', '--posix-lock', '--flock'];
    const program = start([
      'fs',
      `--socket-path=${socketPath}`,
      ...options,
      `--shared-dir=${dir.path}`,
      '--tag=t',
      '--window=0',
    ]);
    await program.says('listening');
    const { error, flags, flags2 } = negotiate(socketPath, 0x7fff_fffb, 0x5ff);
    expect(error).to.equal(0);
    // FUSE_POSIX_LOCKS, DONT_MASK, FLOCK_LOCKS, WRITEBACK_CACHE, POSIX_ACL; SECURITY_CTX, DIRECT_IO_ALLOW_MMAP
    const wanted = 0x2 | 0x40 | 0x400 | 0x1_0000 | 0x10_0000;
    expect(flags & wanted).to.equal(wanted);
    expect(flags2 & 0x11).to.equal(0x11);
  });

  it('says how many descriptors it takes, when there are too few', async () => {
    const withDescriptors = (count: number) =>
      start([
        'fs',
        `--socket-path=${socketPath}`,
        '--window=0',
        '--posix-lock',
        `--rlimit-nofile=${count}`,
        ...options,
      ]);
    const few = withDescriptors(100);
    expect((await few.end()).code).to.equal(1);
    const least = Number(/--rlimit-nofile: 100 descriptors are too few: (\d+) at least/.exec(few.stderr)![1]);
    await withDescriptors(least).says('listening');
  });

  it('shares it again after it was killed', async () => {
    const first = start(['fs', `--socket-path=${socketPath}`, ...options]);
    await first.says('listening');
    openSession(socketPath);
    await first.stop('SIGKILL');
    const second = start(['fs', `--socket-path=${socketPath}`, ...options]);
    await second.says('listening');
    expect(openSession(socketPath).error).to.equal(0);
    expect(openSession(socketPath).error).to.equal(0);
  });

  it('serves an inherited socket', async () => {
    using listening = new Fd(sys.fd, check(sys.socket.listenUnix(socketPath, 0o600, -1, 4), 'listen'));
    const program = start(['fs', '--fd=3', '--window=0', ...options], [listening.fd]);
    await program.says('listening');
    expect(openSession(socketPath).error).to.equal(0);
  });

  it('ends with 2 and one line for a bad option', async () => {
    const program = start(['fs', `--socket-path=${socketPath}`, '--windw=1G', ...options]);
    expect((await program.end()).code).to.equal(2);
    expect(program.stderr).to.match(/^oriel: unknown option --windw: .*--window .*\n$/);
    expect(program.stdout).to.equal('');
    expect(existsSync(socketPath)).to.equal(false);
  });

  it('prints its capabilities and nothing else, whatever else is asked', async () => {
    const program = start(['fs', '--shared-dir=/nowhere', '--fd=99', '--nonsense', '--print-capabilities']);
    expect((await program.end()).code).to.equal(0);
    expect(JSON.parse(program.stdout)).to.deep.equal({ type: 'fs', features: ['separate-options'] });
    expect(program.stderr).to.equal('');
  });

  it('ends with 1 and one line when file handles are mandatory and there are none', async () => {
    const more = ['--shared-dir=/proc', '--tag=proc', '--inode-file-handles=mandatory', '--window=0'];
    const program = start(['fs', `--socket-path=${socketPath}`, ...more]);
    expect((await program.end()).code).to.equal(1);
    expect(program.stderr).to.match(/^[^\n]*file handle \(E[A-Z]+\)[^\n]*\n$/);
  });

  it('ends with 1 and one line when the socket cannot be made', async () => {
    const program = start(['fs', `--socket-path=${join(dir.path, 'nowhere', 'fs.sock')}`, ...options]);
    expect((await program.end()).code).to.equal(1);
    expect(program.stderr.trim().split('\n')).to.have.length(1);
    expect(program.stderr).to.include('ENOENT');
  });
});
