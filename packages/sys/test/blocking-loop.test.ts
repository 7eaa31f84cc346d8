import { once } from 'node:events';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd, openSys } from '../src/index.ts';
import { checkLeaks } from './leaks.ts';
import { startWorker } from './run-in-worker.ts';

const sys = openSys();
/** How often, and when, the loop is woken that may wait for another thread. */
const WAKES = 60;
const WAKE_MS = 1000;
const eventfd = (initial = 0) => new Fd(sys.fd, check(sys.loop.eventfd(initial), 'eventfd2'));

describe('BlockingLoop', () => {
  checkLeaks();

  it('throws what a handler throws, and goes on from there when run again', () => {
    using loop = new BlockingLoop(sys);
    using one = eventfd(1);
    using two = eventfd(1);
    let calls = 0;
    for (const fd of [one, two]) {
      loop.watch(fd.fd, EPOLLIN | EPOLLET, () => {
        calls++;
        throw new Error(`event ${calls}`);
      });
    }
    expect(() => loop.run()).to.throw('event 1');
    expect(() => loop.run()).to.throw('event 2');
    loop.stop();
    loop.run();
    expect(calls).to.equal(2);
  });

  it('returns at once when it was stopped before', () => {
    using loop = new BlockingLoop(sys);
    loop.stop();
    loop.run();
    sys.loop.eventfdSignal(loop.stopFd);
    loop.run();
  });

  it('runOnce waits no longer than told, and counts what it handled', () => {
    using loop = new BlockingLoop(sys);
    using fd = eventfd();
    expect(loop.runOnce(0)).to.equal(0);
    const start = sys.loop.nowNs();
    expect(loop.runOnce(3)).to.equal(0);
    expect(sys.loop.nowNs() - start).to.be.at.least(2.9e6);
    loop.watch(fd.fd, EPOLLIN, () => sys.loop.eventfdDrain(fd.fd));
    sys.loop.eventfdSignal(fd.fd);
    loop.timer(0, () => {});
    loop.defer(() => {});
    let handled = 0;
    while (handled < 3) {
      handled += loop.runOnce(1000);
    }
    expect(handled).to.equal(3);
    expect(loop.runOnce(0)).to.equal(0);
  });

  it('runOnce ends its wait for a timer', () => {
    using loop = new BlockingLoop(sys);
    let fired = 0;
    loop.timer(5, () => fired++);
    while (fired === 0) {
      loop.runOnce(-1);
    }
    expect(fired).to.equal(1);
  });

  it('is ended by another thread that writes stopFd', async () => {
    using loop = new BlockingLoop(sys);
    const go = new Int32Array(new SharedArrayBuffer(4));
    const worker = startWorker(
      `parentPort.postMessage('up');
       Atomics.wait(workerData.go, 0, 0);
       openSys().loop.eventfdSignal(workerData.stopFd);`,
      { go, stopFd: loop.stopFd },
    );
    await once(worker, 'message');
    loop.defer(() => {
      Atomics.store(go, 0, 1);
      Atomics.notify(go, 0);
    });
    loop.run();
    await once(worker, 'exit');
  });

  it('runs in a worker, which ends when its stopFd is written here', async () => {
    const worker = startWorker(`
      const sys = openSys();
      const loop = new BlockingLoop(sys, { spinNs: 20000 });
      loop.defer(() => parentPort.postMessage(loop.stopFd));
      loop.run();
      loop[Symbol.dispose]();
    `);
    const [stopFd] = (await once(worker, 'message')) as [number];
    expect(sys.loop.eventfdSignal(stopFd)).to.equal(0);
    const [code] = await once(worker, 'exit');
    expect(code).to.equal(0);
  });

  it('sees memory that another thread changes while it spins', async function () {
    this.timeout(2 * WAKES * WAKE_MS);
    using loop = new BlockingLoop(sys, { spinNs: 1e9 });
    const flags = new Int32Array(new SharedArrayBuffer(8));
    const worker = startWorker(
      `parentPort.postMessage('up');
       Atomics.wait(workerData, 0, 0);
       Atomics.store(workerData, 1, 1);`,
      flags,
    );
    await once(worker, 'message');
    // Without a spin that sees it the loop would sleep for ever; a spin that found nothing is begun again.
    let wakes = 0;
    const wake = (): void => {
      wakes++;
      if (wakes > WAKES) loop.stop();
      else loop.timer(WAKE_MS, wake);
    };
    wake();
    let polls = 0;
    loop.addPoller(() => {
      polls++;
      if (polls === 1) {
        Atomics.store(flags, 0, 1);
        Atomics.notify(flags, 0);
      }
      if (Atomics.load(flags, 1) === 0) {
        return false;
      }
      loop.stop();
      return true;
    });
    loop.run();
    expect(Atomics.load(flags, 1)).to.equal(1);
    await once(worker, 'exit');
  });
});
