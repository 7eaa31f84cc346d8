import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { FATTR_SIZE, FUSE_ATTR_SUBMOUNT } from '@oriel/fuse';
import { EACCES, ELOOP, ENOTDIR, EXDEV, O_RDONLY, O_RDWR } from '@oriel/sys';
import { expect } from 'chai';
import { needHandles } from './support/file-handles.ts';
import { checkLeaks } from './support/leaks.ts';
import { ROOT, TestShare } from './support/share.ts';

/** Mounts, and unmounts when disposed. @returns undefined where that is not allowed */
function mounted(args: string[], path: string): Disposable | undefined {
  mkdirSync(path, { recursive: true });
  try {
    execFileSync('mount', [...args, path], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  return { [Symbol.dispose]: () => execFileSync('umount', ['-l', path]) };
}

function skip(context: Mocha.Context): never {
  console.log('      SKIPPED, mounting is not allowed here');
  return context.skip();
}

describe('file systems mounted below the share', () => {
  checkLeaks();

  it('are served, and their roots are marked', function () {
    using share = new TestShare();
    using mount = mounted(['-t', 'tmpfs', 'oriel-test'], share.at('mount')) ?? skip(this);
    writeFileSync(share.at('mount', 'file'), 'inside');

    const root = share.lookup('mount');
    const file = share.lookup('file', root.nodeid);

    expect(root.op.entry.attr.flags).to.equal(FUSE_ATTR_SUBMOUNT);
    expect(file.op.entry.attr.flags).to.equal(0);
    expect(share.read(share.fh(file.nodeid), 0, 10)).to.equal('inside');
    expect(share.fs.stats.devices).to.equal(2);
    expect(share.create('out', 2).result).to.equal(0);
    expect(share.rename('out', 'in', 0, ROOT, root.nodeid)).to.equal(-EXDEV);
    expect(share.lookup('..', root.nodeid).result).to.be.lessThan(0);
    const records = share.list(share.dirFh(ROOT), 4096, true);
    expect(records.find(({ name }) => name === 'mount')!.nodeid).to.equal(root.nodeid);
    share.fs.destroy();
    expect(share.fs.stats.devices).to.equal(1);
    expect(mount).to.be.an('object');
  });

  it('have inodes beyond the descriptor budget too', function () {
    using share = new TestShare({ limits: { maxInodeDescriptors: 8 } });
    needHandles(this, tmpdir());
    using mount = mounted(['-t', 'tmpfs', 'oriel-test'], share.at('mount')) ?? skip(this);
    const root = share.node('mount');
    const nodes = Array.from({ length: 40 }, (_, n) => {
      writeFileSync(share.at('mount', `${n}`), `${n}`);
      return share.node('mount', `${n}`);
    });
    share.forget(root, 40);

    const texts = nodes.map((nodeid) => share.read(share.fh(nodeid), 0, 10));

    expect(texts).to.deep.equal(nodes.map((_, n) => `${n}`));
    expect(share.fs.stats).to.include({ inodes: 42, devices: 2 });
    expect(share.fs.stats.inodeDescriptors).to.be.most(9);
    share.fs.destroy();
    expect(share.fs.stats).to.include({ inodeDescriptors: 2, devices: 1 });
    expect(mount).to.be.an('object');
  });

  it('are not marked where the option says so', function () {
    using share = new TestShare({ announceSubmounts: false });
    using mount = mounted(['-t', 'tmpfs', 'oriel-test'], share.at('mount')) ?? skip(this);

    expect(share.lookup('mount').op.entry.attr.flags).to.equal(0);
    expect(mount).to.be.an('object');
  });

  it('are told apart where one directory is mounted twice', function () {
    using share = new TestShare();
    mkdirSync(share.at('dir'));
    writeFileSync(share.at('dir', 'file'), '');
    using mount = mounted(['--bind', share.at('dir')], share.at('again')) ?? skip(this);

    const nodes = [share.node('dir'), share.node('again'), share.node('dir', 'file'), share.node('again', 'file')];

    expect(new Set(nodes).size).to.equal(4);
    expect(mount).to.be.an('object');
  });

  it('that show the kernel and its processes are listed, but their files are not opened', function () {
    using share = new TestShare();
    using mount = mounted(['-t', 'proc', 'oriel-test'], share.at('proc')) ?? skip(this);
    const root = share.node('proc');
    const own = share.node('proc', `${process.pid}`);
    const memory = share.node('proc', `${process.pid}`, 'mem');

    expect(share.list(share.dirFh(own), 4096, true, own).map(({ name }) => name)).to.include('mem');
    for (const flags of [O_RDONLY, O_RDWR]) {
      expect(share.open(memory, flags).result).to.equal(-EACCES);
      expect(share.create('mem', flags, 0o644, own).result).to.equal(-EACCES);
    }
    expect(share.open(share.node('proc', 'sys', 'kernel', 'core_pattern'), O_RDWR).result).to.equal(-EACCES);
    expect(share.setattr(memory, { valid: FATTR_SIZE }).result).to.equal(-EACCES);
    expect(share.fs.openForMapping(memory)).to.equal(-EACCES);
    expect(share.create('new', O_RDWR, 0o644, root).result).to.equal(-EACCES);
    expect(share.fs.tmpfile(share.op(), root, O_RDWR, 0o600)).to.equal(-EACCES);
    expect(mount).to.be.an('object');
  });

  it('that show the kernel: their magic links lead nowhere', function () {
    using share = new TestShare();
    using mount = mounted(['-t', 'proc', 'oriel-test'], share.at('proc')) ?? skip(this);
    const cwd = share.node('proc', `${process.pid}`, 'cwd');

    expect(share.lookup('package.json', cwd).result).to.equal(-ENOTDIR);
    expect(share.open(cwd).result).to.equal(-ELOOP);
    expect(share.link(cwd, 'stolen').result).to.equal(-EXDEV);
    expect(mount).to.be.an('object');
  });
});
