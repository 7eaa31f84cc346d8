import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  BlockingLoop,
  check,
  EINTR,
  EMFILE,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  type EventLoop,
  Fd,
  type LoopOptions,
  type LoopSys,
  MFD_CLOEXEC,
  NodeLoop,
  openSys,
  SysError,
  type Watch,
} from '../src/index.ts';
import { mockSys } from '../src/testing/index.ts';
import { checkLeaks } from './leaks.ts';

const sys = openSys();
const eventfd = (initial = 0) => new Fd(sys.fd, check(sys.loop.eventfd(initial), 'eventfd2'));
const signal = (fd: Fd) => check(sys.loop.eventfdSignal(fd.fd), 'write');

const drivers = {
  blocking: (options?: LoopOptions, on: LoopSys = sys): EventLoop => new BlockingLoop(on, options),
  node: (options?: LoopOptions, on: LoopSys = sys): EventLoop => new NodeLoop(on, options),
};

/** Runs the loop until `finish` is called, under either driver. */
function drive(loop: EventLoop, start: (finish: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    start(() => {
      loop.stop();
      resolve();
    });
    loop.run();
  });
}

for (const [driver, open] of Object.entries(drivers)) {
  describe(`EventLoop: ${driver} driver`, () => {
    checkLeaks();

    it('names itself', () => {
      using loop = open();
      expect(loop.driver).to.equal(driver);
    });

    it('reports readiness again and again, or edges once', async () => {
      using loop = open();
      using level = eventfd(1);
      using edge = eventfd(1);
      let levels = 0;
      let edges = 0;
      using _edge = loop.watch(edge.fd, EPOLLIN | EPOLLET, () => edges++);
      await drive(loop, (finish) => {
        loop.watch(level.fd, EPOLLIN, (events) => {
          expect(events).to.equal(EPOLLIN);
          levels++;
          if (levels === 3) {
            sys.loop.eventfdDrain(level.fd);
            finish();
          }
        });
      });
      expect({ levels, edges }).to.deep.equal({ levels: 3, edges: 1 });
    });

    it('waits for other events after modify', async () => {
      using loop = open();
      using fd = eventfd();
      let seen = 0;
      using watch = loop.watch(fd.fd, EPOLLIN, (events) => {
        seen = events;
      });
      expect(watch.fd).to.equal(fd.fd);
      await drive(loop, (finish) => {
        loop.defer(() => {
          watch.modify(EPOLLOUT | EPOLLET);
          loop.timer(1, finish);
        });
      });
      expect(seen).to.equal(EPOLLOUT);
    });

    it('does not call a handler that another one of the batch removed', async () => {
      using loop = open();
      using one = eventfd(1);
      using two = eventfd(1);
      const called: string[] = [];
      const watches: Watch[] = [];
      await drive(loop, (finish) => {
        for (const [name, fd] of Object.entries({ one, two })) {
          const watch = loop.watch(fd.fd, EPOLLIN, () => {
            called.push(name);
            for (const each of watches) {
              each[Symbol.dispose]();
            }
            loop.defer(finish);
          });
          watches.push(watch);
        }
      });
      expect(called).to.have.length(1);
    });

    it('does not confuse a descriptor with its number, used again within a batch', async () => {
      using loop = open();
      const fds = [eventfd(1), eventfd(1)];
      const watches: Watch[] = [];
      let called = 0;
      let wrong = 0;
      await drive(loop, (finish) => {
        fds.forEach((fd, index) => {
          const other = 1 - index;
          const watch = loop.watch(fd.fd, EPOLLIN, () => {
            called++;
            sys.loop.eventfdDrain(fd.fd);
            const number = fds[other]!.fd;
            watches[other]![Symbol.dispose]();
            fds[other]!.close();
            fds[other] = eventfd(0);
            expect(fds[other].fd).to.equal(number);
            watches[other] = loop.watch(number, EPOLLIN, () => wrong++);
            loop.timer(2, finish);
          });
          watches.push(watch);
        });
      });
      for (const fd of fds) {
        fd.close();
      }
      expect({ called, wrong }).to.deep.equal({ called: 1, wrong: 0 });
    });

    it('protects a new watch from the disposal of one whose descriptor was closed first', async () => {
      using loop = open();
      const old = eventfd();
      const number = old.fd;
      const stale = loop.watch(number, EPOLLIN, () => {});
      old.close();
      using fresh = eventfd(1);
      expect(fresh.fd).to.equal(number);
      await drive(loop, (finish) => {
        loop.watch(number, EPOLLIN | EPOLLET, finish);
        stale[Symbol.dispose]();
      });
      expect(() => stale.modify(EPOLLIN)).to.throw(RangeError);
    });

    it('throws for descriptors that cannot be watched', () => {
      using loop = open();
      using file = new Fd(sys.fd, check(sys.mem.memfdCreate('regular', MFD_CLOEXEC), 'memfd_create'));
      using event = eventfd();
      expect(() => loop.watch(file.fd, EPOLLIN, () => {}))
        .to.throw(SysError)
        .with.property('code', 'EPERM');
      expect(() => loop.watch(99_999, EPOLLIN, () => {}))
        .to.throw(SysError)
        .with.property('code', 'EBADF');
      loop.watch(event.fd, EPOLLIN, () => {});
      expect(() => loop.watch(event.fd, EPOLLIN, () => {}))
        .to.throw(SysError)
        .with.property('code', 'EEXIST');
    });

    it('fires timers in order, not early, and not when cancelled', async () => {
      const start = sys.loop.nowNs();
      // Time stands still until all are made: only the delays that were asked for tell them apart.
      let made = false;
      const timed = mockSys({ loop: { nowNs: () => (made ? sys.loop.nowNs() : start) } });
      using loop = open({}, timed);
      const order: string[] = [];
      let late = 0;
      await drive(loop, (finish) => {
        loop.timer(12, () => {
          late = sys.loop.nowNs() - start;
          order.push('late');
          finish();
        });
        const cancelled = loop.timer(3, () => order.push('cancelled'));
        loop.timer(4, () => order.push('early'));
        loop.timer(0, () => {
          order.push('now');
          cancelled[Symbol.dispose]();
        });
        loop.timer(0, () => order.push('now too'));
        made = true;
      });
      expect(order).to.deep.equal(['now', 'now too', 'early', 'late']);
      expect(late).to.be.at.least(12e6);
      for (const bad of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(() => loop.timer(bad, () => {})).to.throw(RangeError);
      }
    });

    it('runs deferred calls after the events at hand, before it sleeps', async () => {
      using loop = open();
      using one = eventfd(1);
      using two = eventfd(1);
      const order: string[] = [];
      await drive(loop, (finish) => {
        for (const fd of [one, two]) {
          loop.watch(fd.fd, EPOLLIN | EPOLLET, () => {
            order.push('event');
            loop.defer(() => {
              order.push('deferred');
              loop.defer(() => order.push('deferred twice'));
              if (order.filter((entry) => entry === 'deferred').length === 2) {
                loop.defer(finish);
              }
            });
          });
        }
      });
      expect(order).to.deep.equal(['event', 'event', 'deferred', 'deferred', 'deferred twice', 'deferred twice']);
    });

    it('serves events while deferred calls defer for ever', async () => {
      using loop = open();
      using fd = eventfd();
      let rounds = 0;
      await drive(loop, (finish) => {
        let done = false;
        loop.watch(fd.fd, EPOLLIN | EPOLLET, () => {
          done = true;
          finish();
        });
        const again = () => {
          rounds++;
          if (rounds === 10) {
            signal(fd);
          }
          if (!done) {
            loop.defer(again);
          }
        };
        loop.defer(again);
      });
      expect(rounds).to.be.within(10, 13);
    });

    it('gives exceptions to onError and loses nothing, not even an edge', async () => {
      const messages: string[] = [];
      let told = (): void => {};
      const onError = (error: unknown): void => {
        messages.push((error as Error).message);
        told();
      };
      using loop = open({ onError });
      using one = eventfd(1);
      using two = eventfd(1);
      let calls = 0;
      await drive(loop, (finish) => {
        for (const fd of [one, two]) {
          loop.watch(fd.fd, EPOLLIN | EPOLLET, () => {
            calls++;
            throw new Error('event');
          });
        }
        loop.defer(() => {
          throw new Error('deferred');
        });
        loop.timer(0, () => {
          throw new Error('timer');
        });
        loop.addPoller(() => {
          throw new Error('poller');
        });
        told = () => {
          if (calls === 2 && ['deferred', 'timer', 'poller'].every((name) => messages.includes(name))) {
            finish();
          }
        };
      });
      expect(calls).to.equal(2);
      expect(messages.filter((message) => message === 'event')).to.have.length(2);
    });

    it('is ended by a write to stopFd', async () => {
      using loop = open();
      using fd = eventfd();
      let after = 0;
      const stopped = new Promise<void>((resolve) => {
        loop.defer(() => {
          check(sys.loop.eventfdSignal(loop.stopFd), 'write');
          resolve();
        });
      });
      loop.run();
      await stopped;
      await new Promise((resolve) => setImmediate(resolve));
      using _watch = loop.watch(fd.fd, EPOLLIN, () => after++);
      signal(fd);
      await new Promise((resolve) => setImmediate(resolve));
      expect(after).to.equal(0);
    });

    it('can be run again after a stop', async () => {
      using loop = open();
      await drive(loop, (finish) => loop.defer(finish));
      await drive(loop, (finish) => loop.timer(1, finish));
    });

    it('lets a poller find the work, and tells it before sleeping', async () => {
      using loop = open({ spinNs: 200_000 });
      let found = 0;
      let polls = 0;
      let lastLooks = 0;
      await drive(loop, (finish) => {
        const poller = loop.addPoller((sleeping) => {
          lastLooks += sleeping ? 1 : 0;
          polls++;
          if (polls % 5 !== 0 || found === 4) {
            return false;
          }
          found++;
          return true;
        });
        const look = (): void => {
          if (found < 4 || lastLooks === 0) {
            loop.timer(1, look);
            return;
          }
          poller[Symbol.dispose]();
          polls = 0;
          loop.timer(2, finish);
        };
        loop.timer(1, look);
      });
      expect(found).to.equal(4);
      expect(lastLooks).to.be.above(0);
      expect(polls).to.equal(0);
    });

    it('does not spin while a poller waits for a descriptor', async () => {
      using loop = open({ spinNs: 50_000 });
      const looks: boolean[] = [];
      await drive(loop, (finish) => {
        let waits = true;
        loop.addPoller(
          (sleeping) => {
            looks.push(sleeping);
            return false;
          },
          () => waits,
        );
        loop.timer(2, () => {
          expect(looks).to.not.include(false);
          waits = false;
          loop.timer(2, finish);
        });
      });
      expect(looks).to.include(false);
    });

    it('without a spin asks pollers only before sleeping, and does not sleep over their work', async () => {
      using loop = open();
      const looks: boolean[] = [];
      await drive(loop, (finish) => {
        loop.addPoller((sleeping) => {
          looks.push(sleeping);
          if (looks.length < 3) {
            return true;
          }
          loop.defer(finish);
          return false;
        });
      });
      expect(looks).to.deep.equal([true, true, true]);
    });

    it('cannot be run or disposed from inside, nor run twice', async () => {
      using loop = open();
      const errors: unknown[] = [];
      await drive(loop, (finish) => {
        loop.defer(() => {
          for (const wrong of [() => loop.run(), () => loop.runOnce(0), () => loop[Symbol.dispose]()]) {
            try {
              wrong();
            } catch (error) {
              errors.push(error);
            }
          }
          finish();
        });
      });
      expect(errors).to.have.length(3);
    });

    it('is dead once disposed, but its watches and timers can still be', () => {
      const loop = open();
      using fd = eventfd();
      const watch = loop.watch(fd.fd, EPOLLIN, () => {});
      const timer = loop.timer(1, () => {});
      const poller = loop.addPoller(() => false);
      loop[Symbol.dispose]();
      loop[Symbol.dispose]();
      watch[Symbol.dispose]();
      timer[Symbol.dispose]();
      poller[Symbol.dispose]();
      for (const wrong of [
        () => loop.watch(fd.fd, EPOLLIN, () => {}),
        () => loop.timer(0, () => {}),
        () => loop.defer(() => {}),
        () => loop.runOnce(0),
        () => loop.addPoller(() => false),
        () => loop.stopFd,
      ]) {
        expect(wrong).to.throw(RangeError);
      }
    });

    it('leaves nothing open when it cannot be made', () => {
      const mock = mockSys();
      mock.failNext('loop.epollCreate', EMFILE);
      expect(() => open({}, mock))
        .to.throw(SysError)
        .with.property('code', 'EMFILE');
      mock.failNext('loop.eventfd', EMFILE);
      expect(() => open({}, mock))
        .to.throw(SysError)
        .with.property('syscall', 'eventfd2');
      expect(() => open({ spinNs: -1 })).to.throw(RangeError);
    });

    it('takes an interrupted wait for none', async () => {
      const mock = mockSys();
      using loop = open({}, mock);
      mock.failNext('loop.epollWait', EINTR, 2);
      const interrupted = (): number => mock.calls.filter((call) => call.result === -EINTR).length;
      await drive(loop, (finish) => {
        const look = (): void => {
          if (interrupted() < 2) {
            loop.timer(1, look);
          } else {
            finish();
          }
        };
        loop.timer(1, look);
      });
      expect(interrupted()).to.equal(2);
    });
  });
}
