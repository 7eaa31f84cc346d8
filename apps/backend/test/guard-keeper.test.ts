import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BlockingLoop,
  check,
  EAGAIN,
  EINVAL,
  ETXTBSY,
  Fd,
  type FileTruncation,
  Mapping,
  openSys,
  PROT_READ,
} from '@oriel/sys';
import { canGuard, leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { MAX_WAITING_QUESTIONS } from '../src/sandbox/guard/event-queue.ts';
import { FrontEnd } from '../src/sandbox/guard/front-end.ts';
import type { GuardEnds } from '../src/sandbox/guard/guard-ends.ts';
import { RemoteGuard } from '../src/sandbox/guard/remote-guard.ts';
import { Call, GuardCall, GuardReply, writeName } from '../src/sandbox/guard/wire.ts';
import { startKeeper } from '../src/sandbox/outsider.ts';

const sys = openSys();
const NOBODY = { pid: 0, socket: -1 };
const SIZE = 100_000;

/** What a guard heard. */
class Heard {
  readonly asked: number[] = [];
  readonly settled: boolean[] = [];
  over = 0;
  answer: (truncation: FileTruncation) => void = (truncation) => truncation.allow();

  truncating(truncation: FileTruncation): void {
    this.asked.push(truncation.size);
    this.answer(truncation);
  }

  truncated(): void {
    this.over++;
  }

  changed(settled: boolean): void {
    this.settled.push(settled);
  }
}

describe('a keeper of mapped files, outside of a sandbox', function () {
  this.timeout(60_000);
  let dir: TempDir;
  let file: string;
  let fd: number;
  let loop: BlockingLoop;
  let ends: GuardEnds;

  before(function () {
    dir = tempDir();
    if (canGuard(sys, dir.path)) return;
    console.warn('      NOT TESTED HERE: pre-content events');
    dir[Symbol.dispose]();
    this.skip();
  });
  after(() => dir?.[Symbol.dispose]());
  beforeEach(() => {
    file = join(dir.path, 'file');
    writeFileSync(file, Buffer.alloc(SIZE, 'x'));
    fd = openSync(file, 'r+');
    loop = new BlockingLoop(sys);
    ends = startKeeper(sys);
  });
  afterEach(() => {
    sys.fd.close(ends.calls);
    sys.fd.close(ends.events);
    loop[Symbol.dispose]();
    closeSync(fd);
  });

  /** Another process of the host, while the loop turns. @returns its status */
  async function beside(...command: string[]): Promise<number> {
    const child = spawn(command[0]!, command.slice(1), { stdio: 'ignore' });
    const ended = once(child, 'exit');
    while (child.exitCode === null) {
      loop.runOnce(10);
      await new Promise((turned) => setImmediate(turned));
    }
    return ((await ended) as [number])[0];
  }

  const lost = (error: Error): void => {
    throw error;
  };

  it('asks the device before somebody truncates, and tells it when that is done', async () => {
    using guard = new RemoteGuard(sys, loop, ends, lost);
    using watch = guard.openWatch(loop, NOBODY);
    const heard = new Heard();
    heard.answer = (truncation) => {
      expect(statSync(file).size).to.equal(SIZE);
      truncation.allow();
    };
    const watched = watch.watch(fd, heard) as Disposable;
    expect(await beside('truncate', '-s', '5000', file)).to.equal(0);
    while (heard.over === 0) loop.runOnce(100);
    expect(heard.asked).to.deep.equal([5000]);
    expect(statSync(file).size).to.equal(5000);
    heard.answer = (truncation) => truncation.refuse(ETXTBSY);
    expect(await beside('truncate', '-s', '0', file)).to.not.equal(0);
    expect(statSync(file).size).to.equal(5000);
    watched[Symbol.dispose]();
    expect(await beside('truncate', '-s', '7', file), 'nobody watches any more').to.equal(0);
    expect(heard.asked).to.deep.equal([5000, 0]);
  });

  it('tells of a file that grew, and lets this thread do what it likes', async () => {
    using guard = new RemoteGuard(sys, loop, ends, lost);
    using watch = guard.openWatch(loop, NOBODY);
    const heard = new Heard();
    using _watched = watch.watch(fd, heard) as Disposable;
    check(sys.file.ftruncate(fd, 10), 'ftruncate');
    expect(await beside('sh', '-c', `echo more >>${file}`)).to.equal(0);
    while (!heard.settled.includes(true)) loop.runOnce(100);
    expect(heard.asked).to.deep.equal([]);
  });

  /** What the keeper answers to a call as it stands. @returns its errno and whether it knows, or null when it has gone */
  function call(kind: number, id: number, value: number, name = '', len: number = GuardCall.byteLength) {
    const bytes = new Uint8Array(GuardCall.byteLength);
    const view = new DataView(bytes.buffer);
    GuardCall.kind.set(view, 0, kind);
    GuardCall.id.set(view, 0, id);
    GuardCall.value.set(view, 0, value);
    writeName(bytes, GuardCall.name.offset, name);
    expect(sys.socket.sendmsg(ends.calls, bytes, len, null, 0)).to.equal(len);
    const received = sys.socket.makeRecvResult(0);
    let got = sys.socket.recvmsg(ends.calls, bytes, bytes.length, received);
    while (got === -EAGAIN) got = sys.socket.recvmsg(ends.calls, bytes, bytes.length, received);
    return got <= 0 ? null : { errno: GuardReply.errno.get(view, 0), known: GuardReply.known.get(view, 0) };
  }

  it('sees what whoever connected has mapped, and looks at no other process, whatever the device says', () => {
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    using connection = new Fd(sys.fd, pair[0]!);
    using _peer = new Fd(sys.fd, pair[1]!);
    using guard = new RemoteGuard(sys, loop, ends, lost);
    using _mapping = Mapping.shared(sys.mem, fd, 8192, 0, PROT_READ);
    const name = guard.nameInMaps(fd);
    {
      using _watch = guard.openWatch(loop, NOBODY);
      expect(call(Call.MAPPED, process.pid, 0, name), 'nobody is connected').to.deep.equal({
        errno: -EINVAL,
        known: 0,
      });
      expect(guard.mappedBytesBehind(process.pid, name, 0)).to.equal(-1);
    }
    {
      using _watch = guard.openWatch(loop, { pid: process.pid, socket: connection.fd });
      expect(guard.mappedBytesBehind(process.pid, name, 0)).to.equal(8192);
      expect(guard.mappedBytesBehind(process.pid, name, 4096)).to.equal(4096);
      expect(guard.mappedBytesBehind(1, name, 0), 'the one who connected all the same').to.equal(8192);
      expect(guard.mappedBytesBehind(process.pid, '/etc/passwd', 0), 'no name of a file').to.equal(-1);
    }
    expect(guard.mappedBytesBehind(process.pid, name, 0), 'the connection has ended').to.equal(-1);
  });

  it('sees nothing of a front-end that has ended', async () => {
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    const peer = { socket: { ...sys.socket, peerPid: () => child.pid! } };
    using frontEnd = FrontEnd.at(peer, 0)!;
    expect(frontEnd.mappedBytesBehind('00:00 0', 0)).to.be.greaterThan(0);
    child.kill();
    await once(child, 'exit');
    expect(frontEnd.mappedBytesBehind('00:00 0', 0)).to.equal(-1);
    expect(FrontEnd.at(peer, 0)).to.equal(null);
    expect(FrontEnd.at(sys, fd), 'no socket').to.equal(null);
  });

  it('watches for a thread of the device alone', () => {
    expect(call(Call.OPEN, 0, 1)).to.deep.equal({ errno: -EINVAL, known: 0 });
    expect(call(Call.OPEN, 0, 0)).to.deep.equal({ errno: -EINVAL, known: 0 });
    expect(call(Call.OPEN, 0, sys.fanotify.gettid())).to.deep.equal({ errno: 0, known: 0 });
  });

  it('refuses truncations for a device that hears of too many', async () => {
    using guard = new RemoteGuard(sys, loop, ends, lost);
    using watch = guard.openWatch(loop, NOBODY);
    // One event for each watch of a file: what the socket and the queue hold is less. The loop does not turn meanwhile.
    const guards = Array.from({ length: 900 }, () => new Heard());
    const watched = guards.map((heard) => watch.watch(fd, heard) as Disposable);
    const { status } = spawnSync('truncate', ['-s', '0', file]);
    expect(status).to.not.equal(0);
    expect(statSync(file).size).to.equal(SIZE);
    while (guards[0]!.over === 0) loop.runOnce(100);
    const asked = guards.filter(({ asked }) => asked.length > 0).length;
    expect(asked).to.be.within(MAX_WAITING_QUESTIONS, guards.length - 1);
    for (const one of watched) one[Symbol.dispose]();
    expect(await beside('truncate', '-s', '5', file), 'nobody watches any more').to.equal(0);
  });

  it('serves one connection after the other, and holds nothing of those before', async () => {
    using guard = new RemoteGuard(sys, loop, ends, lost);
    guard.openWatch(loop, NOBODY)[Symbol.dispose]();
    const leaks = leakCheck();
    for (let count = 0; count < 3; count++) {
      using watch = guard.openWatch(loop, NOBODY);
      const heard = new Heard();
      using _watched = watch.watch(fd, heard) as Disposable;
      expect(await beside('truncate', '-s', String(count), file)).to.equal(0);
      expect(heard.asked).to.deep.equal([count]);
      writeFileSync(fd, Buffer.alloc(SIZE, 'y'));
    }
    await leaks.settled();
  });

  it('refuses to watch without a descriptor, and ends at a call that is none', () => {
    for (const kind of [Call.WATCH, 99, 0xffff_ffff]) {
      expect(call(kind, 0, 0)!.errno, String(kind)).to.be.lessThan(0);
    }
    expect(call(99, 0, 0, '', 5)).to.equal(null);
  });
});
