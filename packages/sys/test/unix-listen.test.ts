import { chmodSync, chownSync, existsSync, lstatSync, openSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  check,
  EACCES,
  EADDRINUSE,
  EAGAIN,
  ECONNREFUSED,
  EINVAL,
  ENAMETOOLONG,
  ENOENT,
  EPERM,
  F_GETFD,
  F_GETFL,
  FD_CLOEXEC,
  Fd,
  O_NONBLOCK,
  openSys,
  SYS,
} from '../src/index.ts';
import { LOCK_PATIENCE_MS } from '../src/koffi/directory-lock.ts';
import { rawCall } from '../src/koffi/library.ts';
import { type TempDir, tempDir } from '../src/testing/index.ts';
import { checkLeaks } from './leaks.ts';
import { runInWorker } from './run-in-worker.ts';

const sys = openSys();
let dir: TempDir;
let path: string;

function setUp(): void {
  dir = tempDir();
  path = join(dir.path, 'socket');
}

function cleanUp(): void {
  dir[Symbol.dispose]();
}

const listen = (mode = 0o600, gid = -1) =>
  new Fd(sys.fd, check(sys.socket.listenUnix(path, mode, gid, 4), 'listenUnix'));

describe('socket: listenUnix', () => {
  checkLeaks(setUp, cleanUp);

  it('accepts who connects', () => {
    using server = listen();
    expect(sys.socket.isListening(server.fd)).to.equal(1);
    expect(sys.socket.accept(server.fd)).to.equal(-EAGAIN);
    using client = new Fd(sys.fd, check(sys.socket.connectUnix(path), 'connectUnix'));
    using accepted = new Fd(sys.fd, check(sys.socket.accept(server.fd), 'accept'));
    for (const fd of [server, client, accepted]) {
      expect(sys.fd.fcntl(fd.fd, F_GETFL, 0) & O_NONBLOCK).to.equal(O_NONBLOCK);
      expect(sys.fd.fcntl(fd.fd, F_GETFD, 0)).to.equal(FD_CLOEXEC);
    }
    sys.socket.sendmsg(client.fd, Uint8Array.of(5), 1, null, 0);
    const byte = new Uint8Array(1);
    expect(sys.socket.recvmsg(accepted.fd, byte, 1, sys.socket.makeRecvResult(0))).to.equal(1);
    expect(byte[0]).to.equal(5);
  });

  for (const mode of [0o600, 0o660, 0o666]) {
    it(`gives the file mode ${mode.toString(8)} whatever the umask`, () => {
      const old = sys.cred.umask(0o077);
      try {
        using _server = listen(mode);
        expect(statSync(path).mode & 0o7777).to.equal(mode);
      } finally {
        sys.cred.umask(old);
      }
    });
  }

  it('sets the group', function () {
    if (process.getuid?.() !== 0) {
      this.skip();
    }
    using _server = listen(0o660, 12_345);
    expect(statSync(path)).to.include({ gid: 12_345, uid: 0 });
    expect(statSync(path).mode & 0o7777).to.equal(0o660);
  });

  it('replaces a socket on which nobody listens any more', () => {
    listen().close();
    expect(existsSync(path)).to.equal(true);
    expect(sys.socket.connectUnix(path)).to.equal(-ECONNREFUSED);
    using _server = listen();
    using _client = new Fd(sys.fd, check(sys.socket.connectUnix(path), 'connectUnix'));
  });

  it('refuses a path where somebody listens, and does not disturb them', () => {
    using server = listen();
    expect(sys.socket.listenUnix(path, 0o600, -1, 4)).to.equal(-EADDRINUSE);
    const inode = lstatSync(path).ino;
    // The probe that found them alive is gone; the next connection is served.
    using probe = new Fd(sys.fd, check(sys.socket.accept(server.fd), 'accept'));
    expect(sys.socket.recvmsg(probe.fd, new Uint8Array(1), 1, sys.socket.makeRecvResult(0))).to.equal(0);
    using _client = new Fd(sys.fd, check(sys.socket.connectUnix(path), 'connectUnix'));
    expect(lstatSync(path).ino).to.equal(inode);
  });

  it('refuses a path with a live listener whose backlog is full', () => {
    using server = new Fd(sys.fd, check(sys.socket.listenUnix(path, 0o600, -1, 0), 'listenUnix'));
    using _first = new Fd(sys.fd, check(sys.socket.connectUnix(path), 'connectUnix'));
    expect(sys.socket.connectUnix(path)).to.equal(-EAGAIN);
    expect(sys.socket.listenUnix(path, 0o600, -1, 4)).to.equal(-EADDRINUSE);
    expect(sys.socket.isListening(server.fd)).to.equal(1);
  });

  it('leaves a file or a link of that name alone', () => {
    writeFileSync(path, 'precious');
    expect(sys.socket.listenUnix(path, 0o600, -1, 4)).to.equal(-EADDRINUSE);
    expect(statSync(path).size).to.equal(8);
    const link = join(dir.path, 'link');
    symlinkSync(path, link);
    expect(sys.socket.listenUnix(link, 0o600, -1, 4)).to.equal(-EADDRINUSE);
    expect(lstatSync(link).isSymbolicLink()).to.equal(true);
  });

  it('refuses paths that no socket can have', () => {
    const long = `${dir.path}/${'x'.repeat(108)}`;
    expect(sys.socket.listenUnix(long, 0o600, -1, 4)).to.equal(-ENAMETOOLONG);
    expect(sys.socket.connectUnix(long)).to.equal(-ENAMETOOLONG);
    expect(sys.socket.listenUnix('', 0o600, -1, 4)).to.equal(-EINVAL);
    expect(sys.socket.listenUnix('a\0b', 0o600, -1, 4)).to.equal(-EINVAL);
    expect(sys.socket.listenUnix(join(dir.path, 'none', 'socket'), 0o600, -1, 4)).to.equal(-ENOENT);
    expect(sys.socket.connectUnix(join(dir.path, 'none'))).to.equal(-ENOENT);
  });

  it('takes the longest path there is', () => {
    path = `${dir.path}/`.padEnd(107, 'y');
    using _server = listen();
    expect(lstatSync(path).isSocket()).to.equal(true);
    using _client = new Fd(sys.fd, check(sys.socket.connectUnix(path), 'connectUnix'));
  });

  it('leaves nothing behind when the group cannot be set', function () {
    if (process.getuid?.() !== 0) {
      this.skip();
    }
    chownSync(dir.path, 1234, 1234);
    chmodSync(dir.path, 0o700);
    const caps = new Uint32Array(2);
    check(sys.cred.capgetEffective(caps), 'capget');
    check(sys.cred.setresuid(-1, 1234, -1), 'setresuid');
    try {
      expect(sys.socket.listenUnix(path, 0o660, 4321, 4)).to.equal(-EPERM);
      expect(sys.socket.listenUnix('/root-only-socket', 0o660, -1, 4)).to.equal(-EACCES);
    } finally {
      check(sys.cred.setresuid(-1, 0, -1), 'setresuid');
      check(sys.cred.capsetEffective(caps[0]!, caps[1]!), 'capset');
    }
    expect(existsSync(path)).to.equal(false);
  });

  it('does not wait for ever for who keeps the directory locked', () => {
    using held = new Fd(sys.fd, openSync(dir.path, 'r'));
    const LOCK_EX = 2;
    expect(rawCall('ii')(SYS.flock, held.fd, LOCK_EX)).to.equal(0);
    using _server = listen();
    expect(existsSync(path)).to.equal(true);
  });

  it('gives a path to one of those who start at the same time over a stale socket', async function () {
    this.timeout(120_000);
    const rounds = 120;
    const starters = 3;
    const late = new Int32Array(new SharedArrayBuffer(4 * rounds));
    const words = new Int32Array(new SharedArrayBuffer(4 * 4));
    const results = new Int32Array(new SharedArrayBuffer(4 * starters * rounds));
    const ended = Array.from({ length: starters }, (_, me) =>
      runInWorker<string>(RACE, { words, results, late, me, starters, rounds, path }),
    );
    await Promise.all(ended);
    const winners = Array.from({ length: rounds }, (_, round) =>
      results.subarray(round * starters, (round + 1) * starters).reduce((sum, fd) => sum + (fd >= 0 ? 1 : 0), 0),
    );
    const locked = winners.filter((_, round) => late[round] === 0);
    expect(locked.length).to.be.greaterThan(rounds / 4);
    expect(locked.filter((count) => count !== 1)).to.deep.equal([]);
  });
});

/**
 * One of several starters; all meet before and after each round, and the first leaves a stale socket for it. One that takes
 * about as long as the lock is waited for may have gone on without: on a busy machine its holder may not run for so long.
 */
const RACE = `
  const { words, results, late, me, starters, rounds, path } = workerData;
  const sys = openSys();
  let meetings = 0;
  const meet = () => {
    meetings++;
    Atomics.add(words, 0, 1);
    while (Atomics.load(words, 0) < meetings * starters);
  };
  for (let round = 0; round < rounds; round++) {
    const at = path + round;
    if (me === 0) sys.fd.close(sys.socket.listenUnix(at, 0o600, -1, 1));
    meet();
    const from = performance.now();
    const fd = sys.socket.listenUnix(at, 0o600, -1, 1);
    if (performance.now() - from > ${LOCK_PATIENCE_MS / 2}) Atomics.store(late, round, 1);
    results[round * starters + me] = fd;
    meet();
    if (fd >= 0) sys.fd.close(fd);
  }
  parentPort.postMessage('done');
`;
