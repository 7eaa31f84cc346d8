import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  check,
  EAGAIN,
  EBADF,
  EEXIST,
  ENOENT,
  EPERM,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  Fd,
  MFD_CLOEXEC,
  openSys,
} from '../src/index.ts';
import { checkLeaks } from './leaks.ts';

const sys = openSys();

const epoll = () => new Fd(sys.fd, check(sys.loop.epollCreate(), 'epoll_create1'));
const eventfd = (initial = 0) => new Fd(sys.fd, check(sys.loop.eventfd(initial), 'eventfd2'));

describe('loop: eventfd', () => {
  checkLeaks();

  it('counts signals and gives them all at once', () => {
    using event = eventfd(3);
    expect(sys.loop.eventfdSignal(event.fd)).to.equal(0);
    expect(sys.loop.eventfdSignal(event.fd)).to.equal(0);
    expect(sys.loop.eventfdDrain(event.fd)).to.equal(5);
    expect(sys.loop.eventfdDrain(event.fd)).to.equal(-EAGAIN);
  });

  it('answers -EBADF on a closed descriptor', () => {
    expect(sys.loop.eventfdSignal(99_999)).to.equal(-EBADF);
    expect(sys.loop.eventfdDrain(99_999)).to.equal(-EBADF);
  });
});

describe('loop: epoll', () => {
  checkLeaks();

  it('reports events with their tokens, up to 53 bits', () => {
    using poll = epoll();
    using one = eventfd(1);
    using two = eventfd(1);
    const token = 2 ** 52 + 5;
    expect(sys.loop.epollCtl(poll.fd, EPOLL_CTL_ADD, one.fd, EPOLLIN, 7)).to.equal(0);
    expect(sys.loop.epollCtl(poll.fd, EPOLL_CTL_ADD, two.fd, EPOLLIN | EPOLLOUT | EPOLLET, token)).to.equal(0);
    const events = new Uint32Array(8);
    const tokens = new Float64Array(8);
    expect(sys.loop.epollWait(poll.fd, 0, events, tokens)).to.equal(2);
    const found = new Map([
      [tokens[0], events[0]],
      [tokens[1], events[1]],
    ]);
    expect(found.get(7)).to.equal(EPOLLIN);
    expect(found.get(token)).to.equal(EPOLLIN | EPOLLOUT);
  });

  it('fills no more than there is room for', () => {
    using poll = epoll();
    using one = eventfd(1);
    using two = eventfd(1);
    sys.loop.epollCtl(poll.fd, EPOLL_CTL_ADD, one.fd, EPOLLIN, 1);
    sys.loop.epollCtl(poll.fd, EPOLL_CTL_ADD, two.fd, EPOLLIN, 2);
    expect(sys.loop.epollWait(poll.fd, 0, new Uint32Array(1), new Float64Array(8))).to.equal(1);
    expect(sys.loop.epollWait(poll.fd, 0, new Uint32Array(8), new Float64Array(1))).to.equal(1);
  });

  it('edge-triggered, reports each write again without a read', () => {
    using poll = epoll();
    using event = eventfd(0);
    const events = new Uint32Array(4);
    const tokens = new Float64Array(4);
    sys.loop.epollCtl(poll.fd, EPOLL_CTL_ADD, event.fd, EPOLLIN | EPOLLET, 1);
    expect(sys.loop.epollWait(poll.fd, 0, events, tokens)).to.equal(0);
    for (let round = 0; round < 3; round++) {
      sys.loop.eventfdSignal(event.fd);
      expect(sys.loop.epollWait(poll.fd, 0, events, tokens)).to.equal(1);
      expect(sys.loop.epollWait(poll.fd, 0, events, tokens)).to.equal(0);
    }
  });

  it('answers with negative error numbers', () => {
    using poll = epoll();
    using event = eventfd();
    using file = new Fd(sys.fd, check(sys.mem.memfdCreate('regular', MFD_CLOEXEC), 'memfd_create'));
    expect(sys.loop.epollCtl(poll.fd, EPOLL_CTL_ADD, 99_999, EPOLLIN, 0)).to.equal(-EBADF);
    expect(sys.loop.epollCtl(poll.fd, EPOLL_CTL_ADD, file.fd, EPOLLIN, 0)).to.equal(-EPERM);
    expect(sys.loop.epollCtl(poll.fd, EPOLL_CTL_MOD, event.fd, EPOLLIN, 0)).to.equal(-ENOENT);
    sys.loop.epollCtl(poll.fd, EPOLL_CTL_ADD, event.fd, EPOLLIN, 0);
    expect(sys.loop.epollCtl(poll.fd, EPOLL_CTL_ADD, event.fd, EPOLLIN, 0)).to.equal(-EEXIST);
    expect(sys.loop.epollCtl(poll.fd, EPOLL_CTL_DEL, event.fd, 0, 0)).to.equal(0);
    expect(sys.loop.epollWait(event.fd, 0, new Uint32Array(1), new Float64Array(1))).to.be.below(0);
  });
});

describe('loop: nowNs', () => {
  checkLeaks();

  it('is the monotonic clock', () => {
    const before = Number(process.hrtime.bigint());
    const now = sys.loop.nowNs();
    const after = Number(process.hrtime.bigint());
    expect(now).to.be.within(before - 5000, after + 5000);
  });
});
