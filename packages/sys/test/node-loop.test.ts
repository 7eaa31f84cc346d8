import { expect } from 'chai';
import { describe, it } from 'mocha';
import { check, EPOLLIN, Fd, NodeLoop, openSys } from '../src/index.ts';
import { checkLeaks } from './leaks.ts';
import { CHILD_MS, runChild } from './run-child.ts';
import { runInWorker } from './run-in-worker.ts';

const sys = openSys();
const eventfd = (initial = 0) => new Fd(sys.fd, check(sys.loop.eventfd(initial), 'eventfd2'));

describe('NodeLoop', function () {
  this.timeout(2 * CHILD_MS);
  checkLeaks();

  it('lets Promises run between events, and events between Promises', async () => {
    using loop = new NodeLoop(sys);
    using fd = eventfd();
    const order: string[] = [];
    loop.run();
    const next = () =>
      new Promise<void>((resolve) => {
        const watch = loop.watch(fd.fd, EPOLLIN, () => {
          sys.loop.eventfdDrain(fd.fd);
          order.push('event');
          watch[Symbol.dispose]();
          resolve();
        });
        sys.loop.eventfdSignal(fd.fd);
      });
    for (let round = 0; round < 3; round++) {
      await next();
      order.push('promise');
    }
    loop.stop();
    expect(order).to.deep.equal(['event', 'promise', 'event', 'promise', 'event', 'promise']);
  });

  it('is stopped and disposed from its own callbacks without harm', async () => {
    using fd = eventfd(1);
    const loop = new NodeLoop(sys);
    await new Promise<void>((resolve) => {
      loop.watch(fd.fd, EPOLLIN, () => {
        loop.stop();
        resolve();
      });
      loop.run();
    });
    loop[Symbol.dispose]();
  });

  it('runs in a worker', async () => {
    const result = await runInWorker<string>(`
      const sys = openSys();
      const loop = new NodeLoop(sys);
      const fd = sys.loop.eventfd(0);
      loop.watch(fd, EPOLLIN, (events) => {
        parentPort.postMessage('event ' + events);
        loop.stop();
        setImmediate(() => {
          loop[Symbol.dispose]();
          sys.fd.close(fd);
        });
      });
      loop.timer(1, () => sys.loop.eventfdSignal(fd));
      loop.run();
    `);
    expect(result).to.equal('event 1');
  });

  it('keeps the process alive while it runs, and no longer', async () => {
    const { code, stdout } = await runChild(`
      const sys = openSys();
      const loop = new NodeLoop(sys);
      loop.timer(20, () => { console.log('fired'); loop.stop(); });
      loop.run();
    `);
    expect(stdout).to.equal('fired\n');
    expect(code).to.equal(0);
  });

  it('makes an exception without onError one of the process, and stops', async () => {
    const { code, stderr, stdout } = await runChild(`
      const sys = openSys();
      const loop = new NodeLoop(sys);
      const fd = sys.loop.eventfd(1);
      process.on('exit', (code) => console.log('exit', code));
      loop.watch(fd, EPOLLIN, () => { throw new Error('from a handler'); });
      loop.run();
    `);
    expect(code).to.equal(1);
    expect(stderr).to.contain('from a handler');
    expect(stdout).to.equal('exit 1\n');
  });

  it('can be caught there, and run again', async () => {
    const { code, stdout } = await runChild(`
      const sys = openSys();
      const loop = new NodeLoop(sys);
      process.on('uncaughtException', (error) => {
        console.log(error.message);
        loop.timer(1, () => { console.log('again'); loop.stop(); loop.defer(() => {}); });
        loop.run();
      });
      loop.timer(0, () => { throw new Error('caught'); });
      loop.run();
    `);
    expect(stdout).to.equal('caught\nagain\n');
    expect(code).to.equal(0);
  });
});
