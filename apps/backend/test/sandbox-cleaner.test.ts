import { existsSync, mkdirSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlockingLoop, EPOLLIN, openSys } from '@oriel/sys';
import { leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type Cleaner, startCleaner, tellCleaner } from '../src/sandbox/cleaner.ts';

const sys = openSys();
const LONG_MS = 20_000;
const SHORT_MS = 50;

/** As `stat -c %d:%i` prints it. */
function identity(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}

describe('who removes the socket files of a process in a sandbox', () => {
  let dir: TempDir;
  let leaks: ReturnType<typeof leakCheck>;
  let file: string;
  let cleaner: Cleaner | undefined;

  beforeEach(() => {
    leaks = leakCheck();
    dir = tempDir();
    file = join(dir.path, 'sock');
    writeFileSync(file, '');
  });
  afterEach(async () => {
    for (const fd of cleaner === undefined ? [] : [cleaner.fd, cleaner.reply]) sys.fd.close(fd);
    cleaner = undefined;
    dir[Symbol.dispose]();
    await leaks.settled();
  });

  function start(...paths: string[]): Cleaner {
    cleaner = startCleaner(sys, paths);
    return cleaner;
  }

  /** Waits for its end. */
  function ended({ reply }: Cleaner): void {
    using loop = new BlockingLoop(sys);
    let over = false;
    using _watch = loop.watch(reply, EPOLLIN, () => {
      over = true;
    });
    while (!over) loop.runOnce(100);
  }

  it('removes those that are still the same, and is waited for', () => {
    const other = join(dir.path, 'other');
    writeFileSync(other, '');
    const told = [identity(file), identity(other), '-'];
    const started = start(file, other, join(dir.path, 'never-made'));
    writeFileSync(join(dir.path, 'new'), '');
    renameSync(join(dir.path, 'new'), other);
    expect(tellCleaner(sys, started, told, LONG_MS)).to.equal(null);
    expect(existsSync(file)).to.equal(false);
    expect(existsSync(other), "another program's").to.equal(true);
  });

  it('finds them where they were made, wherever a link in the path leads later', () => {
    for (const name of ['first', 'second']) {
      mkdirSync(join(dir.path, name));
      writeFileSync(join(dir.path, name, 'sock'), '');
    }
    const link = join(dir.path, 'link');
    symlinkSync('first', link);
    const started = start(join(link, 'sock'));
    const told = identity(join(link, 'sock'));
    symlinkSync('second', join(dir.path, 'turned'));
    renameSync(join(dir.path, 'turned'), link);
    expect(tellCleaner(sys, started, [told], LONG_MS)).to.equal(null);
    expect(existsSync(join(dir.path, 'first', 'sock'))).to.equal(false);
    expect(existsSync(join(dir.path, 'second', 'sock'))).to.equal(true);
  });

  it('leaves them to the next one when its process is killed', () => {
    const started = start(file);
    sys.fd.close(started.fd);
    ended(started);
    cleaner = { ...started, fd: sys.fd.dup(started.reply) };
    expect(existsSync(file)).to.equal(true);
  });

  it('may have gone before it is told', () => {
    const started = start(file);
    process.kill(started.pid, 'SIGKILL');
    ended(started);
    expect(tellCleaner(sys, started, [identity(file)], LONG_MS)).to.include('has gone');
    expect(existsSync(file)).to.equal(true);
  });

  it('is not waited for longer than is said, and does its work all the same', () => {
    const started = start(file);
    process.kill(started.pid, 'SIGSTOP');
    expect(tellCleaner(sys, started, [identity(file)], SHORT_MS)).to.include(`within ${SHORT_MS} ms`);
    expect(existsSync(file)).to.equal(true);
    process.kill(started.pid, 'SIGCONT');
    ended(started);
    expect(existsSync(file)).to.equal(false);
  });
});
