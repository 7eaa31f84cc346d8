import { symlinkSync, writeFileSync } from 'node:fs';
import { EBADF, EEXIST, ENODATA, EOPNOTSUPP, EPERM, ERANGE, XATTR_CREATE } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { checkLeaks } from './support/leaks.ts';
import { ROOT, TestShare } from './support/share.ts';

/** The four requests, as text. */
class Xattrs {
  readonly #share: TestShare;

  constructor(share: TestShare) {
    this.#share = share;
  }

  set(nodeid: number, name: string, value: string, flags = 0): number {
    const io = this.#share.arena.io(value.length + 1);
    io.data.set(Buffer.from(value));
    const { arena, fs } = this.#share;
    const text = arena.name(value);
    return fs.setxattr!(this.#share.op(), nodeid, arena.name(name), text.addr, value.length, flags, false);
  }

  get(nodeid: number, name: string, size = 1000): string | number {
    const { arena, fs } = this.#share;
    const at = arena.take(1000);
    const result = fs.getxattr!(this.#share.op(), nodeid, arena.name(name), arena.addr(at), size);
    return result < 0 || size === 0 ? result : Buffer.from(arena.bytes.subarray(at, at + result)).toString();
  }

  list(nodeid: number, size = 1000): string[] | number {
    const { arena, fs } = this.#share;
    const at = arena.take(1000);
    const result = fs.listxattr!(this.#share.op(), nodeid, arena.addr(at), size);
    return result < 0 || size === 0
      ? result
      : Buffer.from(arena.bytes.subarray(at, at + result))
          .toString()
          .split('\0')
          .slice(0, -1)
          .sort();
  }

  remove(nodeid: number, name: string): number {
    const { arena, fs } = this.#share;
    return fs.removexattr!(this.#share.op(), nodeid, arena.name(name));
  }
}

describe('extended attributes', () => {
  checkLeaks();

  it('are set, read, listed and removed', function () {
    using share = new TestShare({ xattr: true });
    const nodeid = share.put('file', '');
    const xattrs = new Xattrs(share);
    if (xattrs.set(nodeid, 'user.one', 'first') === -EOPNOTSUPP) {
      console.log('      SKIPPED, the temporary directory has no user attributes');
      this.skip();
    }

    expect(xattrs.set(nodeid, 'user.two', '')).to.equal(0);
    expect(xattrs.set(nodeid, 'user.one', 'x', XATTR_CREATE)).to.equal(-EEXIST);
    expect(xattrs.get(nodeid, 'user.one')).to.equal('first');
    expect(xattrs.get(nodeid, 'user.one', 0)).to.equal(5);
    expect(xattrs.get(nodeid, 'user.one', 4)).to.equal(-ERANGE);
    expect(xattrs.get(nodeid, 'user.two')).to.equal('');
    expect(xattrs.get(nodeid, 'user.three')).to.equal(-ENODATA);
    expect(xattrs.list(nodeid)).to.deep.equal(['user.one', 'user.two']);
    expect(xattrs.list(nodeid, 0)).to.equal(18);
    expect(xattrs.list(nodeid, 17)).to.equal(-ERANGE);
    expect(xattrs.list(nodeid, 18)).to.have.length(2);
    expect(xattrs.remove(nodeid, 'user.one')).to.equal(0);
    expect(xattrs.remove(nodeid, 'user.one')).to.equal(-ENODATA);
    expect(xattrs.list(nodeid)).to.deep.equal(['user.two']);
    expect(xattrs.set(ROOT, 'user.dir', 'd')).to.equal(0);
    expect(xattrs.get(ROOT, 'user.dir')).to.equal('d');
  });

  it('of a symbolic link are its own', () => {
    using share = new TestShare({ xattr: true });
    writeFileSync(share.at('target'), '');
    symlinkSync('target', share.at('link'));
    const xattrs = new Xattrs(share);

    expect(xattrs.set(share.node('link'), 'user.one', 'x')).to.equal(-EPERM);

    expect(xattrs.list(share.node('target'))).to.deep.equal([]);
  });

  it('do not show access lists, which nobody would heed', () => {
    const list = Buffer.from('user.a\0system.posix_acl_access\0user.b\0system.posix_acl_default\0user.c\0');
    const sys = mockSys({
      file: {
        listxattr(_path, to) {
          new Uint8Array(sys.mem.view(to as number, list.length)).set(list);
          return list.length;
        },
      },
    });
    using share = new TestShare({ sys, xattr: true });
    const xattrs = new Xattrs(share);

    expect(xattrs.list(ROOT)).to.deep.equal(['user.a', 'user.b', 'user.c']);
    for (const name of ['system.posix_acl_access', 'system.posix_acl_default']) {
      expect(xattrs.get(ROOT, name)).to.equal(-EOPNOTSUPP);
      expect(xattrs.set(ROOT, name, 'x')).to.equal(-EOPNOTSUPP);
      expect(xattrs.remove(ROOT, name)).to.equal(-EOPNOTSUPP);
    }
  });

  it('that mean something to the host alone are out of reach, as for a server without CAP_SYS_ADMIN', () => {
    const list = Buffer.from('trusted.overlay.opaque\0security.selinux\0user.a\0');
    const sys = mockSys({
      file: {
        listxattr(_path, to) {
          new Uint8Array(sys.mem.view(to as number, list.length)).set(list);
          return list.length;
        },
        getxattr: () => 7,
        setxattr: () => 0,
        removexattr: () => 0,
      },
    });
    using share = new TestShare({ sys, xattr: true });
    const xattrs = new Xattrs(share);

    expect(xattrs.list(ROOT)).to.deep.equal(['security.selinux', 'user.a']);
    expect(xattrs.get(ROOT, 'trusted.overlay.opaque')).to.equal(-ENODATA);
    expect(xattrs.set(ROOT, 'trusted.overlay.redirect', '/')).to.equal(-EPERM);
    expect(xattrs.remove(ROOT, 'trusted.overlay.opaque')).to.equal(-EPERM);
    for (const name of ['security.selinux', 'security.ima', 'security.evm', 'security.capability2']) {
      expect(xattrs.get(ROOT, name, 0)).to.equal(7);
      expect(xattrs.set(ROOT, name, 'x')).to.equal(-EPERM);
      expect(xattrs.remove(ROOT, name)).to.equal(-EPERM);
    }
    expect(xattrs.set(ROOT, 'security.capability', 'x')).to.equal(0);
    expect(xattrs.remove(ROOT, 'security.capability')).to.equal(0);
  });

  it('are asked of known inodes only', () => {
    using share = new TestShare({ xattr: true });
    const xattrs = new Xattrs(share);

    expect(xattrs.get(99, 'user.a')).to.equal(-EBADF);
    expect(xattrs.set(99, 'user.a', '')).to.equal(-EBADF);
    expect(xattrs.list(99)).to.equal(-EBADF);
    expect(xattrs.remove(99, 'user.a')).to.equal(-EBADF);
  });

  it('are not there without the option', () => {
    using share = new TestShare();

    expect(share.fs.getxattr).to.equal(undefined);
    expect(share.fs.setxattr).to.equal(undefined);
    expect(share.fs.listxattr).to.equal(undefined);
    expect(share.fs.removexattr).to.equal(undefined);
  });
});
