import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  check,
  EAGAIN,
  EBADF,
  EINVAL,
  ENOTSOCK,
  EPIPE,
  F_GETFD,
  F_GETFL,
  FD_CLOEXEC,
  Fd,
  Mapping,
  MFD_CLOEXEC,
  O_NONBLOCK,
  openSys,
  SHUT_RDWR,
} from '../src/index.ts';
import { checkLeaks } from './leaks.ts';
import { CHILD_MS, runChild } from './run-child.ts';

const sys = openSys();

function pair(): [Fd, Fd] {
  const out = new Int32Array(2);
  check(sys.socket.socketpair(out), 'socketpair');
  return [new Fd(sys.fd, out[0]!), new Fd(sys.fd, out[1]!)];
}

function memfds(count: number): Fd[] {
  return Array.from({ length: count }, () => new Fd(sys.fd, check(sys.mem.memfdCreate('sent', MFD_CLOEXEC), 'memfd')));
}

const numbers = (fds: Fd[]) => Int32Array.from(fds, (fd) => fd.fd);
const closeAll = (fds: Fd[]) => {
  for (const fd of fds) {
    fd.close();
  }
};
const closeReceived = (result: { fds: Int32Array; fdCount: number }) => {
  for (let index = 0; index < result.fdCount; index++) {
    check(sys.fd.close(result.fds[index]!), 'close');
  }
};

describe('socket: messages', function () {
  this.timeout(2 * CHILD_MS);
  checkLeaks();

  it('never wait, though a peer that shares the open file may take O_NONBLOCK away', async () => {
    const { stdout } = await runChild(`
      const sys = openSys();
      const pair = new Int32Array(2);
      sys.socket.socketpair(pair);
      for (const fd of pair) sys.fd.setNonBlocking(fd, false);
      const bytes = new Uint8Array(65536);
      const received = sys.socket.recvmsg(pair[0], bytes, 1, sys.socket.makeRecvResult(0));
      let sent = 0;
      while (sent >= 0) sent = sys.socket.sendmsg(pair[0], bytes, bytes.length, null, 0);
      console.log(received, sent);`);
    expect(stdout).to.equal(`${-EAGAIN} ${-EAGAIN}\n`);
  });

  it('go both ways, by view and by address', () => {
    const [a, b] = pair();
    using _a = a;
    using _b = b;
    using memory = Mapping.anonymous(sys.mem, 4096);
    const result = sys.socket.makeRecvResult(0);
    expect(sys.socket.sendmsg(a.fd, Uint8Array.of(1, 2, 3), 3, null, 0)).to.equal(3);
    expect(sys.socket.recvmsg(b.fd, memory.addr + 10, 100, result)).to.equal(3);
    expect([...memory.u8.subarray(9, 14)]).to.deep.equal([0, 1, 2, 3, 0]);
    expect(result).to.include({ fdCount: 0, truncated: false });
    const back = new Uint8Array(8);
    expect(sys.socket.sendmsg(b.fd, memory.addr + 11, 2, null, 0)).to.equal(2);
    expect(sys.socket.recvmsg(a.fd, back.subarray(4), 4, result)).to.equal(2);
    expect([...back]).to.deep.equal([0, 0, 0, 0, 2, 3, 0, 0]);
  });

  it('carry descriptors, which arrive with CLOEXEC', () => {
    const [a, b] = pair();
    using _a = a;
    using _b = b;
    const sent = memfds(3);
    check(sys.fd.write(sent[1]!.fd, Uint8Array.of(99), 1), 'write');
    const result = sys.socket.makeRecvResult(8);
    expect(sys.socket.sendmsg(a.fd, Uint8Array.of(7), 1, numbers(sent), 3)).to.equal(1);
    closeAll(sent);
    expect(sys.socket.recvmsg(b.fd, new Uint8Array(1), 1, result)).to.equal(1);
    expect(result).to.include({ fdCount: 3, truncated: false });
    const byte = new Uint8Array(1);
    expect(sys.fd.pread(result.fds[1]!, byte, 1, 0)).to.equal(1);
    expect(byte[0]).to.equal(99);
    for (let index = 0; index < 3; index++) {
      expect(sys.fd.fcntl(result.fds[index]!, F_GETFD, 0)).to.equal(FD_CLOEXEC);
    }
    closeReceived(result);
  });

  for (const room of [0, 1, 2, 3]) {
    it(`say so when 4 descriptors meet room for ${room}, and leak none`, () => {
      const [a, b] = pair();
      using _a = a;
      using _b = b;
      const sent = memfds(4);
      const result = sys.socket.makeRecvResult(room);
      check(sys.socket.sendmsg(a.fd, Uint8Array.of(7), 1, numbers(sent), 4), 'sendmsg');
      closeAll(sent);
      expect(sys.socket.recvmsg(b.fd, new Uint8Array(1), 1, result)).to.equal(1);
      expect(result).to.include({ fdCount: room, truncated: true });
      closeReceived(result);
    });
  }

  it('carry as many descriptors as the kernel takes, and no more', () => {
    const [a, b] = pair();
    using _a = a;
    using _b = b;
    using one = memfds(1)[0]!;
    const many = new Int32Array(254).fill(one.fd);
    const result = sys.socket.makeRecvResult(253);
    expect(sys.socket.sendmsg(a.fd, Uint8Array.of(7), 1, many, 253)).to.equal(1);
    expect(sys.socket.recvmsg(b.fd, new Uint8Array(1), 1, result)).to.equal(1);
    expect(result).to.include({ fdCount: 253, truncated: false });
    closeReceived(result);
    expect(sys.socket.sendmsg(a.fd, Uint8Array.of(7), 1, many, 254)).to.equal(-EINVAL);
    expect(sys.socket.sendmsg(a.fd, Uint8Array.of(7), 1, null, 1)).to.equal(-EINVAL);
    expect(sys.socket.sendmsg(a.fd, Uint8Array.of(7), 1, many.subarray(0, 2), 3)).to.equal(-EINVAL);
    expect(sys.socket.sendmsg(a.fd, Uint8Array.of(7), 1, many, -1)).to.equal(-EINVAL);
    expect(() => sys.socket.makeRecvResult(254)).to.throw(RangeError);
    expect(() => sys.socket.makeRecvResult(-1)).to.throw(RangeError);
  });

  it('forget the descriptors of the message before', () => {
    const [a, b] = pair();
    using _a = a;
    using _b = b;
    using one = memfds(1)[0]!;
    const result = sys.socket.makeRecvResult(2);
    check(sys.socket.sendmsg(a.fd, Uint8Array.of(1), 1, Int32Array.of(one.fd), 1), 'sendmsg');
    check(sys.socket.recvmsg(b.fd, new Uint8Array(1), 1, result), 'recvmsg');
    closeReceived(result);
    check(sys.socket.sendmsg(a.fd, Uint8Array.of(2), 1, null, 0), 'sendmsg');
    check(sys.socket.recvmsg(b.fd, new Uint8Array(1), 1, result), 'recvmsg');
    expect(result).to.include({ fdCount: 0, truncated: false });
    expect(sys.socket.recvmsg(b.fd, new Uint8Array(1), 1, result)).to.equal(-EAGAIN);
    expect(result).to.include({ fdCount: 0, truncated: false });
  });

  it('end: 0 for the reader, EPIPE without a signal for the writer', () => {
    const [a, b] = pair();
    using _b = b;
    a.close();
    const result = sys.socket.makeRecvResult(1);
    expect(sys.socket.recvmsg(b.fd, new Uint8Array(1), 1, result)).to.equal(0);
    expect(sys.socket.sendmsg(b.fd, Uint8Array.of(1), 1, null, 0)).to.equal(-EPIPE);
  });

  it('fill up: EAGAIN, nothing blocks', () => {
    const [a, b] = pair();
    using _a = a;
    using _b = b;
    const block = new Uint8Array(65_536);
    let sent = 0;
    let result = 0;
    while ((result = sys.socket.sendmsg(a.fd, block, block.length, null, 0)) > 0) {
      sent += result;
    }
    expect(result).to.equal(-EAGAIN);
    expect(sent).to.be.above(0);
  });

  it('answer -EBADF for a descriptor that is not one', () => {
    const [a, b] = pair();
    using _a = a;
    using _b = b;
    expect(sys.socket.sendmsg(a.fd, Uint8Array.of(1), 1, Int32Array.of(99_999), 1)).to.equal(-EBADF);
    expect(sys.socket.recvmsg(99_999, new Uint8Array(1), 1, sys.socket.makeRecvResult(0))).to.equal(-EBADF);
  });
});

describe('socket: state', () => {
  checkLeaks();

  it('of a pair is non-blocking, CLOEXEC, connected', () => {
    const [a, b] = pair();
    using _a = a;
    using _b = b;
    for (const end of [a, b]) {
      expect(sys.fd.fcntl(end.fd, F_GETFL, 0) & O_NONBLOCK).to.equal(O_NONBLOCK);
      expect(sys.fd.fcntl(end.fd, F_GETFD, 0)).to.equal(FD_CLOEXEC);
      expect(sys.socket.isListening(end.fd)).to.equal(0);
    }
  });

  it('can be shut down', () => {
    const [a, b] = pair();
    using _a = a;
    using _b = b;
    expect(sys.socket.shutdown(a.fd, SHUT_RDWR)).to.equal(0);
    expect(sys.socket.recvmsg(b.fd, new Uint8Array(1), 1, sys.socket.makeRecvResult(0))).to.equal(0);
    expect(sys.socket.shutdown(99_999, SHUT_RDWR)).to.equal(-EBADF);
  });

  it('is refused to what is no socket', () => {
    using file = memfds(1)[0]!;
    expect(sys.socket.isListening(file.fd)).to.equal(-ENOTSOCK);
    expect(sys.socket.accept(file.fd)).to.equal(-ENOTSOCK);
  });
});
