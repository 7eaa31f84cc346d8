/** Two ends of a socket: one sends a memfd, the other maps it, in an event loop without a Promise. */
import { BlockingLoop, check, EPOLLIN, Fd, Mapping, MFD_CLOEXEC, openSys, PROT_READ, PROT_WRITE } from '@oriel/sys';

const sys = openSys();
const ends = new Int32Array(2);
check(sys.socket.socketpair(ends), 'socketpair');
using left = new Fd(sys.fd, ends[0]!);
using right = new Fd(sys.fd, ends[1]!);

using file = new Fd(sys.fd, check(sys.mem.memfdCreate('greeting', MFD_CLOEXEC), 'memfd_create'));
check(sys.file.ftruncate(file.fd, 4096), 'ftruncate');
using shared = Mapping.shared(sys.mem, file.fd, 4096, 0, PROT_READ | PROT_WRITE);
new TextEncoder().encodeInto('hello from the other side', shared.u8);
check(sys.socket.sendmsg(left.fd, Uint8Array.of(1), 1, Int32Array.of(file.fd), 1), 'sendmsg');

using loop = new BlockingLoop(sys);
const received = sys.socket.makeRecvResult(1);
loop.watch(right.fd, EPOLLIN, () => {
  check(sys.socket.recvmsg(right.fd, new Uint8Array(1), 1, received), 'recvmsg');
  using memfd = new Fd(sys.fd, received.fds[0]!);
  using mapped = Mapping.shared(sys.mem, memfd.fd, 4096, 0, PROT_READ);
  console.log(new TextDecoder().decode(mapped.u8.subarray(0, 25)));
  loop.stop();
});
loop.run();
