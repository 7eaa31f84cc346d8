import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlockingLoop, check, EAGAIN, ETXTBSY, type FileTruncation, Mapping, openSys, PROT_READ } from '@oriel/sys';
import { canGuard, leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import type { GuardEnds } from '../src/sandbox/guard/guard-ends.ts';
import { RemoteGuard } from '../src/sandbox/guard/remote-guard.ts';
import { Call, GuardCall } from '../src/sandbox/guard/wire.ts';
import { startKeeper } from '../src/sandbox/outsider.ts';

const sys = openSys();
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
    using watch = guard.openWatch(loop);
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
    using watch = guard.openWatch(loop);
    const heard = new Heard();
    using _watched = watch.watch(fd, heard) as Disposable;
    check(sys.file.ftruncate(fd, 10), 'ftruncate');
    expect(await beside('sh', '-c', `echo more >>${file}`)).to.equal(0);
    while (!heard.settled.includes(true)) loop.runOnce(100);
    expect(heard.asked).to.deep.equal([]);
  });

  it('sees what a process has mapped', () => {
    using guard = new RemoteGuard(sys, loop, ends, lost);
    const name = guard.nameInMaps(fd);
    expect(guard.mappedBytesBehind(process.pid, name, 0)).to.equal(0);
    using _mapping = Mapping.shared(sys.mem, fd, 8192, 0, PROT_READ);
    expect(guard.mappedBytesBehind(process.pid, name, 0)).to.equal(8192);
    expect(guard.mappedBytesBehind(process.pid, name, 4096)).to.equal(4096);
    expect(guard.mappedBytesBehind(0x3fff_ffff, name, 0)).to.equal(-1);
    expect(guard.mappedBytesBehind(process.pid, '/etc/passwd', 0), 'no name of a file').to.equal(-1);
  });

  it('serves one connection after the other, and holds nothing of those before', async () => {
    using guard = new RemoteGuard(sys, loop, ends, lost);
    guard.openWatch(loop)[Symbol.dispose]();
    const leaks = leakCheck();
    for (let count = 0; count < 3; count++) {
      using watch = guard.openWatch(loop);
      const heard = new Heard();
      using _watched = watch.watch(fd, heard) as Disposable;
      expect(await beside('truncate', '-s', String(count), file)).to.equal(0);
      expect(heard.asked).to.deep.equal([count]);
      writeFileSync(fd, Buffer.alloc(SIZE, 'y'));
    }
    await leaks.settled();
  });

  it('refuses to watch without a descriptor, and ends at a call that is none', async () => {
    const call = new Uint8Array(GuardCall.byteLength);
    const view = new DataView(call.buffer);
    const ask = (len: number): number => {
      expect(sys.socket.sendmsg(ends.calls, call, len, null, 0)).to.equal(len);
      const reply = new Uint8Array(GuardCall.byteLength);
      const received = sys.socket.makeRecvResult(0);
      let got = sys.socket.recvmsg(ends.calls, reply, reply.length, received);
      while (got === -EAGAIN) got = sys.socket.recvmsg(ends.calls, reply, reply.length, received);
      return got <= 0 ? got : new DataView(reply.buffer).getInt32(0, true);
    };
    for (const kind of [Call.WATCH, 99, 0xffff_ffff]) {
      GuardCall.kind.set(view, 0, kind);
      expect(ask(call.length), String(kind)).to.be.lessThan(0);
    }
    expect(ask(5)).to.equal(0);
  });
});
