/**
 * How many ranges the front-end library maps in a second over a socket: `npm run bench`. Three figures: the front-end alone
 * under a stream of requests; a whole round trip from a back-end's region to the answer, both sides in this thread; and the
 * kernel alone with the same system calls for the sockets and the mapping.
 */
import { BackendRegion, Window } from '@oriel/shm-region';
import { check, Fd, MAP_FIXED, MAP_SHARED, MFD_CLOEXEC, openSys, PROT_READ, PROT_WRITE } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { RawBackend, SHMEM_MAP } from '../src/hostile/raw-backend.ts';
import { Machine } from '../src/model/machine.ts';

const ROUNDS = 7;
const RANGES = 2000;
const BATCH = 16;
const HEADER_LEN = 12;
const MESSAGE_LEN = 52;
const ANSWER_LEN = 20;
const sys = openSys();
const { pageSize } = sys.mem;
const size = 2 * RANGES * pageSize;
using file = new Fd(sys.fd, check(sys.mem.memfdCreate('bench', MFD_CLOEXEC), 'memfd_create'));
check(sys.file.ftruncate(file.fd, RANGES * pageSize), 'ftruncate');

function measure(name: string, all: () => void, after: () => void): number {
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now();
    all();
    times.push((performance.now() - start) / RANGES);
    after();
  }
  // The first round warms the code up.
  const median = times.slice(1).sort((a, b) => a - b)[ROUNDS >> 1]!;
  const rate = Math.round(1000 / median);
  console.log(`${name.padEnd(56)}${(median * 1000).toFixed(1).padStart(7)} us${String(rate).padStart(9)} a second`);
  return rate;
}

function kernelFloor(): void {
  using window = new Window(sys, { shmid: 0, size });
  const ends = new Int32Array(2);
  check(sys.socket.socketpair(ends), 'socketpair');
  using left = new Fd(sys.fd, ends[0]!);
  using right = new Fd(sys.fd, ends[1]!);
  const message = new Uint8Array(MESSAGE_LEN);
  const received = sys.socket.makeRecvResult(1);
  const one = Int32Array.of(file.fd);
  measure(
    'the kernel: send with a descriptor, receive, mmap, answer',
    () => {
      for (let index = 0; index < RANGES; index++) {
        check(sys.socket.sendmsg(left.fd, message, MESSAGE_LEN, one, 1), 'sendmsg');
        check(sys.socket.recvmsg(right.fd, message, HEADER_LEN, received), 'recvmsg');
        const fd = received.fds[0]!;
        check(sys.socket.recvmsg(right.fd, message, MESSAGE_LEN - HEADER_LEN, received), 'recvmsg');
        const at = window.addr + 2 * index * pageSize;
        check(sys.mem.mmap(at, pageSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, index * pageSize), 'mmap');
        sys.fd.close(fd);
        check(sys.socket.sendmsg(right.fd, message, ANSWER_LEN, null, 0), 'sendmsg');
        check(sys.socket.recvmsg(left.fd, message, ANSWER_LEN, received), 'recvmsg');
      }
    },
    () => window.clear(),
  );
}

function frontendAlone(): void {
  using window = new Window(sys, { shmid: 0, size });
  using backend = new RawBackend({
    sys,
    regionSize: size,
    handlers: { shmemMap: (request, fd) => window.map(request, fd) },
  });
  measure(
    'front-end library under a stream of requests',
    () => {
      for (let index = 0; index < RANGES; index++) {
        const place = {
          shmid: 0,
          fdOffset: index * pageSize,
          shmOffset: 2 * index * pageSize,
          len: pageSize,
          flags: 1,
        };
        backend.send(SHMEM_MAP, place, [file.fd]);
        if (index % BATCH === BATCH - 1 || index === RANGES - 1) {
          for (const answer of backend.answers()) {
            check(Number(answer), 'SHMEM_MAP');
          }
        }
      }
    },
    () => window.clear(),
  );
}

function roundTrip(): void {
  const base = profileFor('strict', pageSize);
  const profile = { ...base, limits: { ...base.limits, maxMappings: RANGES } };
  using machine = new Machine({ sys, library: { BackendRegion, Window }, profile, size, unmapped: 'fault' });
  const owner = {};
  measure(
    'region -> socket -> window -> answer, one by one',
    () => {
      for (let index = 0; index < RANGES; index++) {
        let answered = -1;
        const place = { fd: file.fd, fdOffset: index * pageSize, shmOffset: 2 * index * pageSize, len: pageSize };
        machine.region.map({ ...place, writable: true, owner, label: '' }, (error) => {
          answered = check(error, 'map');
        });
        machine.settle();
        if (answered !== 0) {
          throw new Error('no answer');
        }
      }
    },
    () => {
      machine.region.unmapAll((error) => check(error, 'unmap'));
      machine.settle();
    },
  );
}

kernelFloor();
frontendAlone();
roundTrip();
