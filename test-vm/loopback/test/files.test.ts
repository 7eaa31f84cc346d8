import { EEXIST, ENOENT, O_CREAT, O_EXCL, O_RDWR } from '@oriel/sys';
import { expect } from 'chai';
import { digest, errnoOf, pattern } from './support/bytes.ts';
import { MIB, type Mounted, Share } from './support/share.ts';

describe('a share in the loopback VM', () => {
  let share: Share;
  let mounted: Mounted;

  before(async () => {
    share = await Share.start();
    mounted = share.mount('always');
  });

  after(async () => {
    mounted?.[Symbol.dispose]();
    await share?.[Symbol.asyncDispose]();
  });

  it('reads by FUSE READ what the host wrote', () => {
    const bytes = share.put('read', pattern(3 * MIB + 17));
    const file = mounted.client.open('read');
    expect(file.size).to.equal(bytes.length);
    expect(digest(mounted.client.read(file, 0, bytes.length + 100))).to.equal(digest(bytes));
    mounted.client.close(file);
  });

  it('reads through the window what the host wrote', () => {
    const bytes = share.put('window-read', pattern(5 * MIB, 2));
    const file = mounted.client.open('window-read');
    const got = new Uint8Array(bytes.length);
    mounted.dax.read(file.nodeid, 0, got);
    expect(digest(got)).to.equal(digest(bytes));
    mounted.client.close(file);
  });

  it('writes by both ways, and each sees the other at once', () => {
    share.put('both', new Uint8Array(4 * MIB));
    const file = mounted.client.open('both');
    const first = pattern(100_000, 3);
    const second = pattern(100_000, 4);
    mounted.client.write(file, 1 * MIB, first);
    mounted.dax.write(file.nodeid, 3 * MIB - 50, second);
    const back = new Uint8Array(first.length);
    mounted.dax.read(file.nodeid, 1 * MIB, back);
    expect(digest(back)).to.equal(digest(first));
    expect(digest(mounted.client.read(file, 3 * MIB - 50, second.length))).to.equal(digest(second));
    mounted.client.fsync(file);
    mounted.client.close(file);
    const host = share.get('both');
    expect(digest(host.subarray(MIB, MIB + first.length))).to.equal(digest(first));
    expect(digest(host.subarray(3 * MIB - 50, 3 * MIB - 50 + second.length))).to.equal(digest(second));
  });

  it('creates, lists, shortens and removes', () => {
    const { client } = mounted;
    const file = client.create('made', O_CREAT | O_EXCL | O_RDWR);
    expect(errnoOf(() => client.create('made', O_CREAT | O_EXCL | O_RDWR))).to.equal(EEXIST);
    client.write(file, 0, pattern(10_000));
    expect(client.setattr(file.nodeid, { size: 5000, fh: file.fh }).size).to.equal(5000);
    client.close(file);
    const record = client.list().find(({ name }) => name === 'made');
    expect(record?.entry?.attr.size).to.equal(5000);
    client.forget(record!.entry!.nodeid);
    expect(client.list(false).map(({ name }) => name)).to.include('made');
    client.unlink('made');
    expect(errnoOf(() => client.lookup('made'))).to.equal(ENOENT);
    client.forget(file.nodeid);
  });

  it('tells the room of the file system', () => {
    expect(mounted.client.statfs().namelen).to.equal(255);
  });

  it('serves a second mount after an umount', () => {
    share.put('again', pattern(2 * MIB, 5));
    const { client, dax, vm } = mounted;
    dax.read(client.open('again').nodeid, 0, new Uint8Array(10));
    client.unmount();
    expect(vm.window.entries()).to.have.length(0);
    dax.forgetAll();
    client.mount('always');
    const got = new Uint8Array(2 * MIB);
    dax.read(client.open('again').nodeid, 0, got);
    expect(digest(got)).to.equal(digest(share.get('again')));
  });
});
