import { truncateSync } from 'node:fs';
import { EFAULT } from '@oriel/sys';
import { expect } from 'chai';
import { DAX_RANGE, GuestRam, WINDOW_GPA } from '../src/index.ts';
import { codeOf, digest, pattern } from './support/bytes.ts';
import { MIB, type Mounted, PAGE, Share, sys } from './support/share.ts';

/** Where more memory lies: above the guest's first. */
const MORE_GPA = 0x1_0000_0000;

describe('buffers of the guest', () => {
  let share: Share;

  before(async () => {
    share = await Share.start();
    share.put('source', pattern(4 * MIB, 61));
  });

  after(() => share?.[Symbol.asyncDispose]());

  /** Adds memory whose file can be truncated. */
  function addMore({ vm }: Mounted): GuestRam {
    const more = new GuestRam(sys, { size: MIB, file: 'unsealed', gpa: MORE_GPA });
    const { gpa, size, userAddr, file } = more;
    vm.ask((done) => vm.connection.addMemoryRegion({ gpa, size, userAddr, mmapOffset: 0, fd: file.fd }, done));
    return more;
  }

  /** An error of the file system, or an empty reply, which Linux takes for EIO. */
  function expectRefused(work: () => void): void {
    expect(codeOf(work)).to.be.oneOf(['EFAULT', 'EIO', 'ERR_FUSE_REPLY_LENGTH']);
  }

  function expectGoodService({ client }: Mounted): void {
    const file = client.open('source');
    expect(digest(client.read(file, 0, MIB))).to.equal(digest(share.get('source').subarray(0, MIB)));
  }

  it('may lie in the window: READ fills the pages of another file', () => {
    share.put('target', new Uint8Array(2 * MIB));
    using mounted = share.mount('always');
    const { client, dax } = mounted;
    const source = client.open('source');
    const target = client.open('target');
    const moffset = dax.map(target.nodeid, 0, true);
    expect(client.readInto(source, MIB + 5, { gpa: WINDOW_GPA + moffset + PAGE + 3, len: 100_000 })).to.equal(100_000);
    const host = share.get('target').subarray(PAGE + 3, PAGE + 3 + 100_000);
    expect(digest(host)).to.equal(digest(share.get('source').subarray(MIB + 5, MIB + 5 + 100_000)));
  });

  it('may lie in the window: WRITE takes the pages of another file', () => {
    share.put('written', new Uint8Array(MIB));
    using mounted = share.mount('always');
    const { client, dax } = mounted;
    const moffset = dax.map(client.lookup('source').nodeid, 0, false);
    const file = client.open('written');
    expect(client.writeFrom(file, 77, { gpa: WINDOW_GPA + moffset + 10, len: 200_000 })).to.equal(200_000);
    expect(digest(share.get('written').subarray(77, 77 + 200_000))).to.equal(
      digest(share.get('source').subarray(10, 10 + 200_000)),
    );
  });

  it('may lie in the window over two mappings of different files', () => {
    share.put('first', new Uint8Array(2 * MIB));
    share.put('second', new Uint8Array(2 * MIB));
    using mounted = share.mount('always');
    const { client } = mounted;
    const source = client.open('source');
    client.setupMapping(client.lookup('first').nodeid, 0, 0, DAX_RANGE, true);
    client.setupMapping(client.lookup('second').nodeid, 0, DAX_RANGE, DAX_RANGE, true);
    expect(client.readInto(source, 0, { gpa: WINDOW_GPA + DAX_RANGE - PAGE, len: 2 * PAGE })).to.equal(2 * PAGE);
    const got = Buffer.concat([share.get('first').subarray(2 * MIB - PAGE), share.get('second').subarray(0, PAGE)]);
    expect(digest(got)).to.equal(digest(share.get('source').subarray(0, 2 * PAGE)));
  });

  it('are refused where nothing is mapped', () => {
    using mounted = share.mount('always');
    const { client } = mounted;
    const source = client.open('source');
    expect(codeOf(() => client.readInto(source, 0, { gpa: WINDOW_GPA, len: PAGE }))).to.equal('ERR_FUSE_REPLY_LENGTH');
    expectGoodService(mounted);
  });

  it('may lie in a mapped file that was truncated: an error, and the back-end lives', () => {
    share.put('shrinks', pattern(2 * MIB, 62));
    using mounted = share.mount('always');
    const { client, dax, vm } = mounted;
    const source = client.open('source');
    const moffset = dax.map(client.lookup('shrinks').nodeid, 0, true);
    truncateSync(share.path('shrinks'), 0);
    expect(vm.window.read(moffset, new Uint8Array(PAGE))).to.equal(-EFAULT);
    const buffer = { gpa: WINDOW_GPA + moffset, len: PAGE };
    expectRefused(() => client.readInto(source, 0, buffer));
    expectRefused(() => client.writeFrom(source, 0, buffer));
    expectGoodService(mounted);
  });

  it('may lie in memory that can be truncated, before and after', () => {
    using mounted = share.mount('always');
    const { client } = mounted;
    using more = addMore(mounted);
    const source = client.open('source');
    const buffer = { gpa: MORE_GPA + PAGE, len: 3 * PAGE };
    expect(client.readInto(source, 0, buffer)).to.equal(buffer.len);
    expect(digest(more.at(buffer.gpa, buffer.len))).to.equal(digest(share.get('source').subarray(0, buffer.len)));
    more.truncate(0);
    expectRefused(() => client.readInto(source, 0, buffer));
    expectRefused(() => client.writeFrom(source, 0, buffer));
    expectGoodService(mounted);
  });

  it('cannot hold requests once they are truncated away', () => {
    using mounted = share.mount('always');
    const { vm } = mounted;
    using more = addMore(mounted);
    more.truncate(0);
    const queue = vm.queues[1]!;
    const chain = queue.submit([
      { gpa: MORE_GPA, len: 100, writable: false },
      { gpa: MORE_GPA + PAGE, len: 100, writable: true },
    ]);
    expect(vm.await(queue, chain)).to.have.length(0);
    expectGoodService(mounted);
  });

  it('cannot hold the ring itself in a file that may be truncated', async () => {
    expect(codeOf(() => share.boot({ ramFile: 'unsealed' })[Symbol.dispose]())).to.equal('ERR_VU_REFUSED');
    expect(await share.logAfterwards()).to.include('ERR_VIRTQ_MEMORY');
    using mounted = share.mount('always');
    expectGoodService(mounted);
  });

  it('cannot be announced behind the end of a file that never changes', async () => {
    using mounted = share.mount('always');
    const { vm } = mounted;
    using more = new GuestRam(sys, { size: MIB, file: 'sealed', gpa: MORE_GPA });
    // A user address of its own: behind the real one may lie the guest's other memory.
    const region = { gpa: MORE_GPA, size: 2 * MIB, userAddr: MORE_GPA, mmapOffset: 0, fd: more.file.fd };
    expect(codeOf(() => vm.ask((done) => vm.connection.addMemoryRegion(region, done)))).to.equal('ERR_VU_REFUSED');
    expect(await share.logAfterwards()).to.include('ERR_MEM_FILE');
    expectGoodService(mounted);
  });
});
