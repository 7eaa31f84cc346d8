import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { EBADF, ENOENT, EPERM, O_RDWR, openSys } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { limitsForDescriptors, PassthroughFilesystem, type PassthroughOptions } from '../src/index.ts';
import { checkLeaks } from './support/leaks.ts';
import { ROOT, TestShare } from './support/share.ts';

describe('PassthroughFilesystem', () => {
  checkLeaks();

  it('drops all but the root at DESTROY and at INIT, and goes on', () => {
    using share = new TestShare();
    writeFileSync(share.at('file'), 'text');
    mkdirSync(share.at('dir'));
    for (const drop of [() => share.fs.destroy(), () => share.fs.init()]) {
      const nodeid = share.node('file');
      const fh = share.fh(nodeid, O_RDWR);
      const dir = share.dirFh(share.node('dir'));
      share.list(dir, 4096, true, share.node('dir'));

      drop();

      expect(share.fs.stats).to.include({ inodes: 1, handles: 0, devices: 1, pending: 0 });
      expect(share.getattr(nodeid).result).to.equal(-EBADF);
      expect(share.read(fh, 0, 1)).to.equal(-EBADF);
      expect(share.readdir(dir, { cookieLo: 0, cookieHi: 0 }, 4096, false)).to.equal(-EBADF);
      expect(share.getattr(ROOT).result).to.equal(0);
      expect(share.node('file')).to.not.equal(nodeid);
    }
  });

  it('closes every descriptor, once, when it is disposed', () => {
    const sys = mockSys();
    const share = new TestShare({ sys, xattr: true });
    for (let index = 0; index < 200; index++) {
      share.create(`file-${index}`, O_RDWR);
    }
    share.list(share.dirFh(ROOT), 4096, true);

    share.fs.close();
    share[Symbol.dispose]();

    const closed = sys.calls.filter(({ name }) => name === 'fd.close');
    expect(closed.every(({ result }) => result === 0)).to.equal(true);
    expect(closed.length).to.be.greaterThan(400);
  });

  it('leaves nothing behind when it cannot start', () => {
    const sys = mockSys();
    const start = (options: Partial<PassthroughOptions>) => () =>
      new PassthroughFilesystem({ sys, sharedDir: '/tmp', ...options });

    expect(start({ sharedDir: '/nowhere/at/all' })).to.throw('ERR_PASSTHROUGH_SHARE');
    expect(start({ sharedDir: '/etc/passwd' })).to.throw('ERR_PASSTHROUGH_SHARE');
    sys.failNext('file.openat', ENOENT, 1, 1);
    expect(start({})).to.throw('ERR_PASSTHROUGH_PROC');
    sys.failNext('file.statx', EPERM);
    expect(start({})).to.throw('ERR_PASSTHROUGH_SHARE');
  });

  it('refuses options that mean nothing', () => {
    const sys = openSys();
    const start = (options: Partial<PassthroughOptions>) => () =>
      new PassthroughFilesystem({ sys, sharedDir: '/tmp', ...options });

    expect(start({ sharedDir: '' })).to.throw('ERR_PASSTHROUGH_OPTION');
    expect(start({ sharedDir: '/tmp\0x' })).to.throw('ERR_PASSTHROUGH_OPTION');
    expect(start({ cache: 'toString' as 'auto' })).to.throw('ERR_PASSTHROUGH_OPTION');
    expect(start({ limits: { maxInodes: 0 } })).to.throw('ERR_PASSTHROUGH_OPTION');
    expect(start({ limits: { maxInodeDescriptors: 0 } })).to.throw('ERR_PASSTHROUGH_OPTION');
    expect(start({ inodeFileHandles: 'always' as 'never' })).to.throw('ERR_PASSTHROUGH_OPTION');
    expect(start({ limits: { maxHandles: 1.5 } })).to.throw('ERR_PASSTHROUGH_OPTION');
    expect(start({ limits: { maxInodes: 2 ** 24 } })).to.throw('ERR_PASSTHROUGH_OPTION');
    expect(start({ limits: { maxPending: -1 } })).to.throw('ERR_PASSTHROUGH_OPTION');
  });

  it('follows a symbolic link to the shared directory, once', () => {
    using base = new TestShare();
    mkdirSync(base.at('real'));
    writeFileSync(base.at('real', 'file'), '');
    symlinkSync('real', base.at('link'));
    using share = new TestShare({ sharedDir: base.at('link') });

    expect(share.lookup('file').result).to.equal(0);
  });

  it('starts without the right to set groups, and says so', () => {
    const lines: string[] = [];
    const none = (): void => {};
    const log = { error: none, warn: (text: string) => lines.push(text), info: none, debug: none, trace: none };
    const sys = mockSys({ cred: { geteuid: () => 0, setgroups: () => -EPERM } });

    using share = new TestShare({ sys, log });

    expect(share.getattr(ROOT).result).to.equal(0);
    expect(lines).to.have.length(1);
  });
});

describe('limitsForDescriptors', () => {
  it('splits what there is', () => {
    for (const descriptors of [64, 1024, 20_000, 1_000_000]) {
      const limits = limitsForDescriptors(descriptors);
      const { maxInodes, maxInodeDescriptors, maxHandles, maxDirStreams } = limits;

      expect(maxInodeDescriptors! + maxHandles! + maxDirStreams!).to.be.lessThan(descriptors);
      expect(Math.min(maxInodeDescriptors!, maxHandles!, maxDirStreams!)).to.be.greaterThan(0);
      expect(maxInodes).to.be.within(65_536, 4_194_304);
    }
    expect(limitsForDescriptors(1024, 2 ** 20).maxInodes).to.equal(65_536);
    expect(limitsForDescriptors(1024, 2 ** 28).maxInodes).to.equal(131_072);
    expect(limitsForDescriptors(1024, 2 ** 40).maxInodes).to.equal(4_194_304);
    expect(() => limitsForDescriptors(63)).to.throw('ERR_PASSTHROUGH_OPTION');
    expect(() => limitsForDescriptors(Number.NaN)).to.throw('ERR_PASSTHROUGH_OPTION');
  });
});
