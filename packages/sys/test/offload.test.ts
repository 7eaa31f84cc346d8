import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  BlockingLoop,
  check,
  EBADF,
  EFAULT,
  EINVAL,
  type EventLoop,
  Fd,
  type HelperThreads,
  type JobRights,
  Mapping,
  MFD_CLOEXEC,
  NodeLoop,
  type Offload,
  type OffloadOptions,
  openOffload,
  openSys,
  SYS,
  Timespec,
} from '../src/index.ts';
import { mockSys } from '../src/testing/index.ts';
import { checkLeaks } from './leaks.ts';
import { CHILD_MS, runChild } from './run-child.ts';
import { runInWorker } from './run-in-worker.ts';

const sys = openSys();

/** Uses an offload, then waits for its threads to be gone, so that their descriptors are not taken for leaks. */
async function withOffload(
  loop: EventLoop,
  options: OffloadOptions & { threads: number },
  use: (offload: HelperThreads) => void | Promise<void>,
): Promise<void> {
  let left = options.threads;
  const gone = new Promise<void>((resolve) => {
    const onHelperExit = () => {
      left--;
      if (left === 0) {
        resolve();
      }
    };
    const offload = openOffload(sys, loop, { ...options, onHelperExit });
    Promise.resolve(use(offload)).then(() => offload[Symbol.dispose]());
  });
  if (options.threads > 0) {
    await gone;
  }
}

describe('Offload', function () {
  this.timeout(2 * CHILD_MS);
  checkLeaks();

  it('makes calls elsewhere and brings their results to a blocking loop', async () => {
    using loop = new BlockingLoop(sys);
    await withOffload(loop, { threads: 1 }, (offload) => {
      using fd = new Fd(sys.fd, check(sys.mem.memfdCreate('job', MFD_CLOEXEC), 'memfd_create'));
      using memory = Mapping.anonymous(sys.mem, 4096);
      memory.u8.set([1, 2, 3]);
      const results: number[] = [];
      const job = (nr: number, ...args: number[]) =>
        offload.submit(nr, args, (result) => {
          results.push(result);
          if (results.length === 4) {
            loop.stop();
          }
        });
      expect(job(SYS.pwrite64, fd.fd, memory.addr, 3, 2 ** 33)).to.equal(true);
      job(SYS.fsync, fd.fd);
      job(SYS.fsync, 99_999);
      job(SYS.read, fd.fd, 8, 16);
      expect(offload.pending).to.equal(4);
      loop.run();
      expect(offload.pending).to.equal(0);
      expect(results.slice(0, 3)).to.deep.equal([3, 0, -EBADF]);
      expect(results[3]).to.equal(-EFAULT);
      const back = new Uint8Array(3);
      expect(sys.fd.pread(fd.fd, back, 3, 2 ** 33)).to.equal(3);
      expect([...back]).to.deep.equal([1, 2, 3]);
    });
  });

  it('brings them to a node loop too', async () => {
    using loop = new NodeLoop(sys);
    loop.run();
    await withOffload(loop, { threads: 1 }, async (offload) => {
      const result = await new Promise<number>((resolve) => {
        offload.submit(SYS.fsync, [99_999], resolve);
      });
      expect(result).to.equal(-EBADF);
    });
  });

  it('does not block the loop while a call blocks', async () => {
    using loop = new BlockingLoop(sys);
    const pipe = new Int32Array(2);
    check(sys.fd.pipe(pipe), 'pipe2');
    using from = new Fd(sys.fd, pipe[0]!);
    using to = new Fd(sys.fd, pipe[1]!);
    using memory = Mapping.anonymous(sys.mem, 4096);
    await withOffload(loop, { threads: 1 }, (offload) => {
      const order: string[] = [];
      offload.submit(SYS.read, [from.fd, memory.addr, 8], (result) => {
        order.push(`read ${result}`);
        loop.stop();
      });
      loop.timer(1, () => {
        order.push('timer');
        // Without this the call never returns.
        sys.fd.write(to.fd, new Uint8Array(3), 3);
      });
      loop.run();
      expect(order).to.deep.equal(['timer', 'read 3']);
    });
  });

  it('drains: every callback has run when it returns', async () => {
    using loop = new BlockingLoop(sys);
    await withOffload(loop, { threads: 2, helpers: 2, depth: 8 }, (offload) => {
      let done = 0;
      let refused = 0;
      for (let job = 0; job < 12; job++) {
        if (!offload.submit(SYS.geteuid, [], () => done++)) {
          refused++;
        }
      }
      expect(refused).to.equal(4);
      expect(offload.pending).to.equal(8);
      offload.drain();
      expect({ done, pending: offload.pending }).to.deep.equal({ done: 8, pending: 0 });
      offload.drain();
    });
  });

  it('tells when what was pending is done, whatever was submitted since', async () => {
    using loop = new BlockingLoop(sys);
    using memory = Mapping.anonymous(sys.mem, 4096);
    Timespec.tvNsec.set(new DataView(memory.u8.buffer), 0, 20e6);
    await withOffload(loop, { threads: 2, helpers: 2 }, (offload) => {
      const order: string[] = [];
      const sleep = (name: string) => offload.submit(SYS.nanosleep, [memory.addr, 0], () => order.push(name));
      offload.afterPending(() => order.push('at once'));
      sleep('a');
      sleep('b');
      offload.afterPending(() => {
        order.push('a and b returned');
        sleep('d');
      });
      sleep('c');
      offload.drain();
      expect(order[0]).to.equal('at once');
      const told = order.indexOf('a and b returned');
      expect(told).to.be.greaterThan(0).and.lessThan(order.indexOf('d'));
      expect(order.slice(0, told + 2)).to.include.members(['a', 'b']);
      expect(order).to.have.members(['at once', 'a', 'b', 'c', 'd', 'a and b returned']);
    });
  });

  it('takes jobs from callbacks, many times around its ring', async () => {
    using loop = new BlockingLoop(sys);
    await withOffload(loop, { threads: 2, helpers: 2, depth: 4 }, (offload) => {
      let started = 0;
      const results: number[] = [];
      const start = () => {
        while (started < 500 && offload.submit(SYS.fcntl, [99_000 + started, 1, 0], finish)) {
          started++;
        }
      };
      const finish = (result: number) => {
        results.push(result);
        start();
        if (results.length === 500) {
          loop.stop();
        }
      };
      start();
      loop.run();
      expect(results).to.have.length(500);
      expect(results.every((result) => result === -EBADF)).to.equal(true);
      expect(offload.pending).to.equal(0);
    });
  });

  it('drains when it is disposed, and takes no job after', async () => {
    using loop = new BlockingLoop(sys);
    let done = 0;
    let disposed: Offload | undefined;
    await withOffload(loop, { threads: 1 }, (offload) => {
      disposed = offload;
      offload.submit(SYS.geteuid, [], () => done++);
    });
    expect(done).to.equal(1);
    disposed![Symbol.dispose]();
    expect(() => disposed!.submit(SYS.geteuid, [], () => {})).to.throw(RangeError);
  });

  it('waits for a while only, where it is told to', async () => {
    using loop = new BlockingLoop(sys);
    const pipe = new Int32Array(2);
    check(sys.fd.pipe(pipe), 'pipe2');
    using from = new Fd(sys.fd, pipe[0]!);
    using to = new Fd(sys.fd, pipe[1]!);
    using memory = Mapping.anonymous(sys.mem, 4096);
    await withOffload(loop, { threads: 1 }, (offload) => {
      const results: number[] = [];
      offload.submit(SYS.read, [from.fd, memory.addr, 8], (result) => results.push(result));
      expect(offload.drainFor(20)).to.equal(false);
      expect(results).to.deep.equal([]);
      expect(sys.fd.write(to.fd, new Uint8Array(3), 3)).to.equal(3);
      expect(offload.drainFor(60_000)).to.equal(true);
      expect(results).to.deep.equal([3]);
    });
  });

  it('is left, when it is endless, by calls that do not return', async () => {
    const { code, stdout } = await runChild(`
      const sys = openSys();
      const loop = new BlockingLoop(sys);
      const pipe = new Int32Array(2);
      sys.fd.pipe(pipe);
      const memory = sys.mem.mmap(0, 4096, 3, 0x22, -1, 0);
      const offload = openOffload(sys, loop, { endless: true });
      offload.submit(SYS.read, [pipe[0], memory, 8], () => console.log('called back'));
      offload.drainFor(20);
      offload[Symbol.dispose]();
      loop[Symbol.dispose]();
      console.log('left');
      sys.fd.close(pipe[1]);
    `);
    expect({ code, stdout }).to.deep.equal({ code: 0, stdout: 'left\n' });
  });

  it('makes a call in each of its threads', async () => {
    using loop = new BlockingLoop(sys);
    await withOffload(loop, { threads: 3, helpers: 3 }, (offload) => {
      expect(offload.inEach(SYS.gettid, [])).to.equal(0);
      offload.startAll();
      // PR_SET_TIMERSLACK and PR_GET_TIMERSLACK: an attribute of the thread.
      expect(offload.inEach(SYS.prctl, [29, 123_456])).to.equal(0);
      const seen: number[] = [];
      for (let job = 0; job < 12; job++) offload.submit(SYS.prctl, [30], (result) => seen.push(result));
      offload.drain();
      expect(new Set(seen)).to.deep.equal(new Set([123_456]));
      expect(offload.inEach(SYS.fsync, [99_999])).to.equal(-EBADF);
    });
  });

  it('makes calls with the rights of others, and no other call with them', async function () {
    if (process.getuid?.() !== 0) {
      this.skip();
    }
    using loop = new BlockingLoop(sys);
    await withOffload(loop, { threads: 1 }, (offload) => {
      const results: number[] = [];
      const job = (nr: number, args: number[], rights?: JobRights) =>
        offload.submit(nr, args, (result) => results.push(result), rights);
      const user = { uid: 1000, gid: 1001, group: 1002, umask: 0o27, dropFsetid: false };
      job(SYS.geteuid, [], user);
      job(SYS.getegid, [], user);
      job(SYS.umask, [0o27], user);
      job(SYS.geteuid, []);
      job(SYS.getegid, []);
      job(SYS.umask, [0o22]);
      job(SYS.geteuid, [], { ...user, uid: -1, gid: -1, group: -1, umask: -1, dropFsetid: true });
      job(SYS.geteuid, [], { ...user, uid: 2 ** 32 - 1 });
      offload.drain();
      expect(results.slice(0, 5)).to.deep.equal([1000, 1001, 0o27, 0, 0]);
      expect(results[5]).to.equal(process.umask());
      expect(results.slice(6)).to.deep.equal([0, -EINVAL]);
      expect(process.umask()).to.equal(results[5]);
    });
  });

  it('starts no thread without a job', async () => {
    using loop = new BlockingLoop(sys);
    await withOffload(loop, { threads: 0 }, (offload) => offload.drain());
  });

  it('refuses bad jobs and options', async () => {
    using loop = new BlockingLoop(sys);
    await withOffload(loop, { threads: 0 }, (offload) => {
      for (const args of [[1, 2, 3, 4, 5, 6, 7], [0.5], [2 ** 53], [Number.NaN]]) {
        expect(() => offload.submit(SYS.fsync, args, () => {})).to.throw(RangeError);
      }
      expect(() => offload.submit(1.5, [], () => {})).to.throw(RangeError);
      expect(offload.pending).to.equal(0);
    });
    expect(() => openOffload(sys, loop, { depth: 3 })).to.throw(RangeError);
    expect(() => openOffload(sys, loop, { helpers: 0 })).to.throw(RangeError);
    const mock = mockSys();
    mock.failNext('loop.epollCtl', 28);
    using mockLoop = new BlockingLoop(sys);
    mockLoop[Symbol.dispose]();
    expect(() => openOffload(sys, mockLoop)).to.throw(RangeError);
  });

  it('keeps no trace of a job whose helper could not be started', () => {
    const loop = new BlockingLoop(sys);
    using offload = openOffload(sys, loop);
    loop[Symbol.dispose]();
    expect(() => offload.submit(SYS.geteuid, [], () => {})).to.throw(RangeError);
    expect(offload.pending).to.equal(0);
    offload.drain();
  });

  it('serves the loop of a worker, whose own events never turn', async () => {
    const result = await runInWorker<number>(`
      const sys = openSys();
      const loop = new BlockingLoop(sys);
      const offload = openOffload(sys, loop);
      let seen;
      offload.submit(SYS.fsync, [99999], (result) => { seen = result; loop.stop(); });
      loop.run();
      offload[Symbol.dispose]();
      loop[Symbol.dispose]();
      parentPort.postMessage(seen);
    `);
    expect(result).to.equal(-EBADF);
  });
});

describe('Offload: the end of a process', function () {
  this.timeout(2 * CHILD_MS);
  const start = `
    const sys = openSys();
    const loop = new BlockingLoop(sys);
    const offload = openOffload(sys, loop, { helpers: 2 });
    offload.submit(SYS.geteuid, [], () => loop.stop());
    loop.run();
    console.log('ran');
  `;

  it('does not wait for idle helpers', async () => {
    const { code, stdout } = await runChild(start);
    expect({ code, stdout }).to.deep.equal({ code: 0, stdout: 'ran\n' });
  });

  it('does not hang in process.exit, or by an exception', async () => {
    expect(await runChild(`${start} process.exit(3);`)).to.include({ code: 3 });
    expect(await runChild(`${start} throw new Error('end');`)).to.include({ code: 1 });
  });

  it('does not hang right after a job was submitted', async () => {
    const { code } = await runChild(`
      const sys = openSys();
      const loop = new BlockingLoop(sys);
      const offload = openOffload(sys, loop);
      offload.submit(SYS.geteuid, [], () => {});
      process.exit(4);
    `);
    expect(code).to.equal(4);
  });
});
