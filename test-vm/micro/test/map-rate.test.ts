import { BackendRegion, Window } from '@oriel/shm-region';
import { check, Fd, MAP_FIXED, MAP_SHARED, Mapping, MFD_CLOEXEC, openSys, PROT_READ, PROT_WRITE } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { profileFor } from '@oriel/vhost-user';
import { expect } from 'chai';
import { RawBackend, SHMEM_MAP } from '../src/hostile/raw-backend.ts';
import { Machine } from '../src/model/machine.ts';

const RANGES = 2000;
/** Lengths of `struct VhostUserMMap` and of an answer, each behind its header. */
const REQUEST_LEN = 52;
const ANSWER_LEN = 20;
const TRIES = 3;
/** Times the system calls alone: here 10,000 ranges a second. */
const MOST = 8;

const sys = openSys();
const { pageSize } = sys.mem;
const size = 2 * RANGES * pageSize;

/** Microseconds of processor time a range, so that a busy machine changes little. */
function processorUs(act: () => void): number {
  const before = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / RANGES;
}

function pageFile(): Fd {
  const file = new Fd(sys.fd, check(sys.mem.memfdCreate('rate', MFD_CLOEXEC), 'memfd_create'));
  check(sys.file.ftruncate(file.fd, pageSize), 'ftruncate');
  return file;
}

/** What the same ranges cost with nothing but system calls: request and descriptor over a socket, mmap, answer. */
function rawUs(): number {
  using file = pageFile();
  using room = Mapping.anonymous(sys.mem, size);
  const pair = new Int32Array(2);
  check(sys.socket.socketpair(pair), 'socketpair');
  using back = new Fd(sys.fd, pair[0]!);
  using front = new Fd(sys.fd, pair[1]!);
  const bytes = new Uint8Array(REQUEST_LEN);
  const fds = Int32Array.of(file.fd);
  const received = sys.socket.makeRecvResult(1);
  return processorUs(() => {
    for (let index = 0; index < RANGES; index += 1) {
      check(sys.socket.sendmsg(back.fd, bytes, REQUEST_LEN, fds, 1), 'sendmsg');
      check(sys.socket.recvmsg(front.fd, bytes, REQUEST_LEN, received), 'recvmsg');
      using fd = new Fd(sys.fd, received.fds[0]!);
      const at = room.addr + 2 * index * pageSize;
      check(sys.mem.mmap(at, pageSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd.fd, 0), 'mmap');
      check(sys.socket.sendmsg(front.fd, bytes, ANSWER_LEN, null, 0), 'sendmsg');
      check(sys.socket.recvmsg(back.fd, bytes, ANSWER_LEN, received), 'recvmsg');
    }
  });
}

/** The least of some tries each, by turns; the first ones warm up. */
function times(act: () => number): number {
  let [raw, own] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    raw = Math.min(raw, rawUs());
    own = Math.min(own, act());
  }
  return own / raw;
}

describe('a mapping by the front-end library costs little beside its system calls', function () {
  this.timeout(60_000);

  it('under a stream of requests on the back channel', () => {
    const underStream = (): number => {
      using _leaks = leakCheck();
      using file = pageFile();
      using window = new Window(sys, { shmid: 0, size });
      const handlers = { shmemMap: window.map.bind(window) };
      using backend = new RawBackend({ sys, regionSize: size, handlers });
      const us = processorUs(() => {
        for (let index = 0; index < RANGES; index += 1) {
          const place = { shmid: 0, fdOffset: 0, shmOffset: 2 * index * pageSize, len: pageSize, flags: 1 };
          backend.send(SHMEM_MAP, place, [file.fd]);
          if (index % 16 === 15) {
            expect(new Set(backend.answers())).to.deep.equal(new Set([0]));
          }
        }
      });
      expect(window.entries()).to.have.length(RANGES);
      return us;
    };
    expect(times(underStream)).to.be.below(MOST);
  });

  it('from the ledger to the answer, both sides in one thread', () => {
    const bothSides = (): number => {
      using _leaks = leakCheck();
      using file = pageFile();
      const base = profileFor('strict', pageSize);
      const profile = { ...base, limits: { ...base.limits, maxMappings: RANGES } };
      using machine = new Machine({ sys, library: { BackendRegion, Window }, profile, size, unmapped: 'fault' });
      const owner = {};
      const us = processorUs(() => {
        for (let index = 0; index < RANGES; index += 1) {
          const place = { fd: file.fd, fdOffset: 0, shmOffset: 2 * index * pageSize, len: pageSize, writable: true };
          machine.region.map({ ...place, owner, label: '' }, (error) => check(error, 'map'));
          machine.settle();
        }
      });
      expect(machine.region.stats.mapped).to.equal(RANGES);
      return us;
    };
    expect(times(bothSides)).to.be.below(MOST);
  });
});
