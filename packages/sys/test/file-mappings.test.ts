import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Fd, Mapping, mappedBytesBehind, nameInMaps, openSys, PROT_READ } from '../src/index.ts';
import { tempDir } from '../src/testing/index.ts';

const sys = openSys();
const PAGE = sys.mem.pageSize;

describe('mappings of a process', () => {
  it('are counted by file, behind an offset, each as often as it is there', () => {
    using dir = tempDir();
    const path = join(dir.path, 'file');
    writeFileSync(path, Buffer.alloc(4 * PAGE));
    const fd = openSync(path, 'r');
    const name = nameInMaps(sys, fd);
    expect(mappedBytesBehind(process.pid, name, 0)).to.equal(0);
    {
      using _whole = Mapping.shared(sys.mem, fd, 4 * PAGE, 0, PROT_READ);
      using _end = Mapping.shared(sys.mem, fd, PAGE, 3 * PAGE, PROT_READ);
      expect(mappedBytesBehind(process.pid, name, 0)).to.equal(5 * PAGE);
      expect(mappedBytesBehind(process.pid, name, 2 * PAGE)).to.equal(3 * PAGE);
      expect(mappedBytesBehind(process.pid, name, 4 * PAGE)).to.equal(0);
    }
    expect(mappedBytesBehind(process.pid, name, 0)).to.equal(0);
    closeSync(fd);
  });

  it('cannot be told of a process that is not there', () => {
    expect(mappedBytesBehind(2 ** 22 + 1, '00:00 1', 0)).to.equal(-1);
  });
});

describe('the other end of a socket', () => {
  it('is known by its process', () => {
    const pair = new Int32Array(2);
    expect(sys.socket.socketpair(pair)).to.equal(0);
    using one = new Fd(sys.fd, pair[0]!);
    using _other = new Fd(sys.fd, pair[1]!);
    expect(sys.socket.peerPid(one.fd)).to.equal(process.pid);
    expect(sys.socket.peerPid(-1)).to.be.below(0);
  });
});
