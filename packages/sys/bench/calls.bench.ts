/** What one call costs: `node -C @oriel/source bench/calls.bench.ts`. Medians of 7, in ns. */
import { readSync } from 'node:fs';
import {
  AT_EMPTY_PATH,
  BlockingLoop,
  check,
  EPOLL_CTL_ADD,
  EPOLLET,
  EPOLLIN,
  Fd,
  Iovec,
  Mapping,
  MFD_CLOEXEC,
  openSys,
  STATX_BASIC_STATS,
} from '@oriel/sys';

const ROUNDS = 7;
const CALLS = 50_000;
const sys = openSys();
using memory = Mapping.anonymous(sys.mem, 1 << 20);
using file = new Fd(sys.fd, check(sys.mem.memfdCreate('bench', MFD_CLOEXEC), 'memfd_create'));
check(sys.fd.pwrite(file.fd, memory.addr, 1 << 16, 0), 'pwrite');
using event = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd2'));
using epoll = new Fd(sys.fd, check(sys.loop.epollCreate(), 'epoll_create1'));
check(sys.loop.epollCtl(epoll.fd, EPOLL_CTL_ADD, event.fd, EPOLLIN | EPOLLET, 1), 'epoll_ctl');
const ends = new Int32Array(2);
check(sys.socket.socketpair(ends), 'socketpair');
using left = new Fd(sys.fd, ends[0]!);
using right = new Fd(sys.fd, ends[1]!);
const view = new DataView(memory.u8.buffer);
Iovec.iovBase.set(view, 0, memory.addr + 4096);
Iovec.iovLen.set(view, 0, 4096);
const empty = memory.addr + 512;
const events = new Uint32Array(16);
const tokens = new Float64Array(16);
const received = sys.socket.makeRecvResult(8);
const page = new Uint8Array(4096);
using loop = new BlockingLoop(sys);
loop.watch(event.fd, EPOLLIN | EPOLLET, () => {});

function measure(name: string, call: () => void): void {
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now();
    for (let index = 0; index < CALLS; index++) {
      call();
    }
    times.push(((performance.now() - start) * 1e6) / CALLS);
  }
  // The first round warms the code up.
  const median = times.slice(1).sort((a, b) => a - b)[ROUNDS >> 1]!;
  console.log(`${name.padEnd(44)}${median.toFixed(0).padStart(6)} ns`);
}

measure('geteuid (an empty call)', () => sys.cred.geteuid());
measure('pread 16 B to an address', () => sys.fd.pread(file.fd, memory.addr + 4096, 16, 0));
measure('pread 4 KiB to an address', () => sys.fd.pread(file.fd, memory.addr + 4096, 4096, 0));
measure('pread 4 KiB to a view', () => sys.fd.pread(file.fd, page, 4096, 0));
measure('fs.readSync 4 KiB', () => readSync(file.fd, page, 0, 4096, 0));
measure('preadv2 4 KiB', () => sys.file.preadv2(file.fd, memory.addr, 1, 0, 0));
measure('statx of a descriptor', () =>
  sys.file.statx(file.fd, empty, AT_EMPTY_PATH, STATX_BASIC_STATS, memory.addr + 1024),
);
measure('copyChecked 64 B', () => sys.mem.copyChecked(memory.addr + 8192, memory.addr + 4096, 64));
measure('copyChecked 4 KiB', () => sys.mem.copyChecked(memory.addr + 8192, memory.addr + 4096, 4096));
measure('eventfd signal + drain', () => {
  sys.loop.eventfdSignal(event.fd);
  sys.loop.eventfdDrain(event.fd);
});
measure('epoll_wait, nothing ready', () => sys.loop.epollWait(epoll.fd, 0, events, tokens));
measure('eventfd signal + one turn of a BlockingLoop', () => {
  sys.loop.eventfdSignal(event.fd);
  loop.runOnce(0);
});
measure('sendmsg + recvmsg 12 B', () => {
  sys.socket.sendmsg(left.fd, memory.addr, 12, null, 0);
  sys.socket.recvmsg(right.fd, memory.addr + 2048, 12, received);
});
const one = Int32Array.of(event.fd);
measure('sendmsg + recvmsg 12 B with a descriptor', () => {
  sys.socket.sendmsg(left.fd, memory.addr, 12, one, 1);
  sys.socket.recvmsg(right.fd, memory.addr + 2048, 12, received);
  sys.fd.close(received.fds[0]!);
});
measure('nowNs', () => sys.loop.nowNs());
