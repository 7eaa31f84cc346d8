import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { EINTR, EINVAL, EMFILE, ENOMEM, Fd, Mapping, MFD_CLOEXEC, openSys, SysError } from '../src/index.ts';
import { mockSys, tempDir } from '../src/testing/index.ts';
import { checkLeaks } from './leaks.ts';

describe('mockSys', () => {
  checkLeaks();

  it('makes the real calls and logs them', () => {
    const sys = mockSys();
    const fd = sys.mem.memfdCreate('mocked', MFD_CLOEXEC);
    expect(fd).to.be.above(2);
    expect(sys.fd.close(fd)).to.equal(0);
    expect(sys.calls).to.deep.equal([
      { name: 'mem.memfdCreate', args: ['mocked', MFD_CLOEXEC], result: fd },
      { name: 'fd.close', args: [fd], result: 0 },
    ]);
    expect(sys.mem.pageSize).to.equal(openSys().mem.pageSize);
    expect(sys.loop.nowNs()).to.be.above(0);
    expect(sys.count('fd.close')).to.equal(1);
    expect(sys.count('fd.dup')).to.equal(0);
  });

  it('fails what it was told to fail, so often, so late', () => {
    const sys = mockSys();
    sys.failNext('fd.dup', EMFILE, 2, 1);
    sys.failNext('fd.dup', EINTR);
    using fd = new Fd(openSys().fd, sys.loop.eventfd(0));
    const results = Array.from({ length: 5 }, () => sys.fd.dup(fd.fd));
    expect(results.slice(1, 4)).to.deep.equal([-EMFILE, -EMFILE, -EINTR]);
    for (const copy of [results[0]!, results[4]!]) {
      expect(sys.fd.close(copy)).to.equal(0);
    }
  });

  it('fails a view by an exception, as the real one does', () => {
    const sys = mockSys();
    using mapping = Mapping.anonymous(sys.mem, 4096);
    sys.failNext('mem.view', ENOMEM);
    expect(() => mapping.u8)
      .to.throw(SysError)
      .with.property('errno', ENOMEM);
    expect(mapping.u8.length).to.equal(4096);
  });

  it('replaces calls for good', () => {
    const sys = mockSys({ cred: { geteuid: () => 4711 }, mem: { pageSize: 65_536 } });
    expect(sys.cred.geteuid()).to.equal(4711);
    expect(sys.mem.pageSize).to.equal(65_536);
    expect(sys.cred.getegid()).to.equal(process.getegid?.());
  });

  it('forgets on reset', () => {
    const sys = mockSys();
    sys.failNext('mem.mmap', EINVAL);
    sys.cred.geteuid();
    sys.reset();
    expect(sys.calls).to.have.length(0);
    Mapping.anonymous(sys.mem, 4096)[Symbol.dispose]();
  });
});

describe('tempDir', () => {
  it('is there, and then gone with all in it', () => {
    const dir = tempDir('oriel-test-');
    writeFileSync(join(dir.path, 'file'), 'x');
    expect(existsSync(dir.path)).to.equal(true);
    dir[Symbol.dispose]();
    expect(existsSync(dir.path)).to.equal(false);
  });
});
