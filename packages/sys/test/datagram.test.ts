import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import {
  check,
  EADDRINUSE,
  EAGAIN,
  ECONNREFUSED,
  EINVAL,
  ENAMETOOLONG,
  ENOENT,
  F_GETFD,
  FD_CLOEXEC,
  Fd,
  MFD_CLOEXEC,
  openSys,
} from '../src/index.ts';
import { type TempDir, tempDir } from '../src/testing/index.ts';
import { checkLeaks } from './leaks.ts';

const sys = openSys();
const encoder = new TextEncoder();

describe('socket: datagrams', () => {
  let dir: TempDir;
  let path: string;
  beforeEach(() => {
    dir = tempDir();
    path = join(dir.path, 'notify');
  });
  afterEach(() => dir[Symbol.dispose]());
  checkLeaks();

  it('arrive whole, with their descriptors', () => {
    using receiver = new Fd(sys.fd, check(sys.socket.bindDatagram(path, 0o600), 'bind'));
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    using sender = new Fd(sys.fd, check(sys.socket.connectDatagram(path), 'connect'));
    expect(sys.fd.fcntl(sender.fd, F_GETFD, 0)).to.equal(FD_CLOEXEC);
    using memfd = new Fd(sys.fd, check(sys.mem.memfdCreate('sent', MFD_CLOEXEC), 'memfd'));
    const first = encoder.encode('FDSTORE=1');
    expect(sys.socket.sendmsg(sender.fd, first, first.length, Int32Array.of(memfd.fd), 1)).to.equal(9);
    expect(sys.socket.sendmsg(sender.fd, encoder.encode('READY=1'), 7, null, 0)).to.equal(7);
    const result = sys.socket.makeRecvResult(4);
    const bytes = new Uint8Array(64);
    expect(sys.socket.recvmsg(receiver.fd, bytes, 64, result)).to.equal(9);
    expect(result.fdCount).to.equal(1);
    new Fd(sys.fd, result.fds[0]!).close();
    expect(sys.socket.recvmsg(receiver.fd, bytes, 64, result)).to.equal(7);
    expect(result.fdCount).to.equal(0);
    expect(sys.socket.recvmsg(receiver.fd, bytes, 64, result)).to.equal(-EAGAIN);
  });

  it('go to abstract names, too', () => {
    expect(sys.socket.connectDatagram(`@oriel-test-${process.pid}-nobody`)).to.equal(-ECONNREFUSED);
  });

  it('are refused where nobody receives, and where no socket can be', () => {
    expect(sys.socket.connectDatagram(path)).to.equal(-ENOENT);
    writeFileSync(path, '');
    expect(sys.socket.bindDatagram(path, 0o600)).to.equal(-EADDRINUSE);
    expect(sys.socket.connectDatagram(path)).to.equal(-ECONNREFUSED);
    expect(sys.socket.bindDatagram('', 0o600)).to.equal(-EINVAL);
    expect(sys.socket.connectDatagram('x'.repeat(108))).to.equal(-ENAMETOOLONG);
  });
});
