import { BackendRegion, Window } from '@oriel/shm-region';
import { check, Fd, MFD_CLOEXEC, openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { profileFor } from '@oriel/vhost-user';
import { expect } from 'chai';
import { RawBackend, SHMEM_MAP } from '../src/hostile/raw-backend.ts';
import { Machine } from '../src/model/machine.ts';

const RANGES = 2000;
/** 10,000 a second; counted in processor time, so that a busy machine changes nothing. */
const MOST_US = 100;

const sys = openSys();
const { pageSize } = sys.mem;
const size = 2 * RANGES * pageSize;

function processorUs(act: () => void): number {
  const before = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / RANGES;
}

describe('the front-end library maps 10,000 ranges a second', () => {
  it('under a stream of requests on the back channel', () => {
    using _leaks = leakCheck();
    using file = new Fd(sys.fd, check(sys.mem.memfdCreate('rate', MFD_CLOEXEC), 'memfd_create'));
    check(sys.file.ftruncate(file.fd, pageSize), 'ftruncate');
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
    expect(us).to.be.below(MOST_US);
  });

  it('from the ledger to the answer, both sides in one thread', () => {
    using _leaks = leakCheck();
    using file = new Fd(sys.fd, check(sys.mem.memfdCreate('rate', MFD_CLOEXEC), 'memfd_create'));
    check(sys.file.ftruncate(file.fd, pageSize), 'ftruncate');
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
    expect(us).to.be.below(MOST_US);
  });
});
