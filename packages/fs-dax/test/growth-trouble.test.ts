import {
  appendFileSync,
  closeSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { EFBIG, EIO, ENOSPC, EOPNOTSUPP, O_RDWR } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { ALWAYS, decode, PAGE, Rig, type RigOptions, sys } from './support/rig.ts';

const R = DAX_RANGE;
const SIZE = 5 * PAGE + 123;
const GROW: RigOptions = { dax: { tail: 'grow' } };

async function withOdd(options: RigOptions = GROW): Promise<{ rig: Rig; nodeid: number }> {
  const rig = await Rig.mounted(ALWAYS, options);
  writeFileSync(rig.path('odd'), Buffer.alloc(SIZE, 'o'));
  return { rig, nodeid: await rig.lookup('odd') };
}

const sizeOf = (rig: Rig): number => statSync(rig.path('odd')).size;
const said = (rig: Rig, words: string): boolean => rig.lines.some((line) => line.includes(words));

function overwrite(path: string, at: number, text: string): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, text, at);
  closeSync(fd);
}

describe('a growth that meets with trouble', () => {
  it('does not begin when the crash record cannot be written', async () => {
    const mock = mockSys();
    const { rig: made, nodeid } = await withOdd({ ...GROW, sys: mock });
    using rig = made;
    mock.failNext('fd.pwrite', ENOSPC);
    expect(await rig.map(nodeid, 0, 0)).to.equal(ENOSPC);
    expect(sizeOf(rig)).to.equal(SIZE);
    expect(rig.sentMappings).to.deep.equal([]);
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
  });

  it('does not begin when the file cannot be lengthened', async () => {
    const mock = mockSys();
    const { rig: made, nodeid } = await withOdd({ ...GROW, sys: mock });
    using rig = made;
    mock.failNext('file.ftruncate', EFBIG);
    expect(await rig.map(nodeid, 0, 0)).to.equal(EFBIG);
    expect(sizeOf(rig)).to.equal(SIZE);
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
  });

  it('leaves the record where the file cannot be shortened, so that the next start does', async () => {
    const mock = mockSys();
    const { rig: made, nodeid } = await withOdd({ ...GROW, sys: mock });
    using rig = made;
    mock.failNext('file.ftruncate', EIO, 1, 1);
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
    expect(sizeOf(rig)).to.equal(R);
    expect(said(rig, 'cannot shorten')).to.equal(true);
    rig.device[Symbol.dispose]();
    const { GrowRecord } = await import('../src/dax/grow-record.ts');
    const { repairGrown } = await import('../src/dax/repair.ts');
    const { createHash } = await import('node:crypto');
    const key = createHash('sha256').update(rig.share).digest('hex').slice(0, 16);
    const silent = { error() {}, warn() {}, info() {}, debug() {}, trace() {} };
    const repair = (file: Parameters<typeof repairGrown>[2]): boolean => repairGrown(sys, rig.share, file, silent);
    GrowRecord.open(sys, `${rig.dir.path}/state`, key, repair)[Symbol.dispose]();
    expect(sizeOf(rig)).to.equal(SIZE);
  });

  it('gives the file back whatever the front-end answers', async () => {
    const { rig: made, nodeid } = await withOdd();
    using rig = made;
    rig.onRequest(() => -EIO);
    expect(await rig.map(nodeid, 0, 0)).to.equal(EIO);
    expect(sizeOf(rig)).to.equal(SIZE);
  });

  it('does not cut a file that grows while the record is written', async () => {
    let armed = false;
    let path = '';
    const pwrite: typeof sys.fd.pwrite = (...args) => {
      if (armed) appendFileSync(path, Buffer.alloc(3 * R, 'h'));
      armed = false;
      return sys.fd.pwrite(...args);
    };
    const { rig: made, nodeid } = await withOdd({ ...GROW, sys: { ...sys, fd: { ...sys.fd, pwrite } } });
    using rig = made;
    path = rig.path('odd');
    armed = true;
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
    expect(sizeOf(rig)).to.equal(SIZE + 3 * R);
    expect(
      readFileSync(path)
        .subarray(SIZE)
        .every((byte) => byte === 0x68),
    ).to.equal(true);
  });

  it('is planned anew when the file has another size at its turn', async () => {
    const { rig: made, nodeid } = await withOdd();
    using rig = made;
    writeFileSync(rig.path('first'), Buffer.alloc(R));
    const first = await rig.lookup('first');
    rig.hold();
    const sent = [rig.sendMap(first, 0, 1), rig.sendMap(nodeid, 0, 0)];
    await rig.inFlight();
    truncateSync(rig.path('odd'), 3 * PAGE + 1);
    rig.release();
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(sent.map((one) => decode(one).error)).to.deep.equal([0, 0]);
    expect(sizeOf(rig)).to.equal(3 * PAGE + 1);
  });

  it('does not cut a file that has outgrown the range at its turn', async () => {
    const { rig: made, nodeid } = await withOdd();
    using rig = made;
    writeFileSync(rig.path('first'), Buffer.alloc(R));
    const first = await rig.lookup('first');
    rig.hold();
    const sent = [rig.sendMap(first, 0, 1), rig.sendMap(nodeid, 0, 0)];
    await rig.inFlight();
    appendFileSync(rig.path('odd'), Buffer.alloc(3 * R, 'h'));
    rig.release();
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(sent.map((one) => decode(one).error)).to.deep.equal([0, 0]);
    const bytes = readFileSync(rig.path('odd'));
    expect([bytes.length, bytes.subarray(SIZE).every((byte) => byte === 0x68)]).to.deep.equal([SIZE + 3 * R, true]);
  });

  it('refuses a range that the file has left at its turn', async () => {
    const { rig: made, nodeid } = await withOdd();
    using rig = made;
    writeFileSync(rig.path('first'), Buffer.alloc(R));
    const first = await rig.lookup('first');
    rig.hold();
    const sent = [rig.sendMap(first, 0, 1), rig.sendMap(nodeid, 0, 0)];
    await rig.inFlight();
    truncateSync(rig.path('odd'), 0);
    rig.release();
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(sent.map((one) => decode(one).error)).to.deep.equal([0, EIO]);
    expect(sizeOf(rig), 'a front-end would have grown an empty file').to.equal(0);
  });

  it('leaves a file as it is that another process resizes meanwhile', async () => {
    const { rig: made, nodeid } = await withOdd();
    using rig = made;
    rig.onRequest(() => {
      appendFileSync(rig.path('odd'), 'appended');
      return 0;
    });
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
    expect(sizeOf(rig)).to.equal(R + 8);
    expect(said(rig, 'resized by another process')).to.equal(true);
  });

  it('does not throw away what another process writes behind the end meanwhile', async () => {
    const { rig: made, nodeid } = await withOdd();
    using rig = made;
    rig.onRequest(() => {
      overwrite(rig.path('odd'), 20 * PAGE, 'precious');
      return 0;
    });
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
    expect(readFileSync(rig.path('odd')).toString('utf8', 20 * PAGE, 20 * PAGE + 8)).to.equal('precious');
    expect(said(rig, 'wrote behind the end')).to.equal(true);
  });

  it('shortens a file whose part behind the end was allocated, but not written', async () => {
    const { rig: made, nodeid } = await withOdd();
    using rig = made;
    rig.onRequest(() => {
      overwrite(rig.path('odd'), 20 * PAGE, '\0\0');
      return 0;
    });
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
    expect(sizeOf(rig)).to.equal(SIZE);
  });

  it('does not happen without a crash record', async () => {
    using rig = new Rig({ dax: { tail: 'refuse', stateDir: undefined as unknown as string } });
    await rig.mount(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(PAGE));
    const nodeid = await rig.lookup('file');
    await rig.map(nodeid, 0, 0);
    const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
    const wrote = await rig.errno((r) => r.write(nodeid, fh, PAGE, 3), Buffer.from('odd'));
    expect(wrote).to.equal(EOPNOTSUPP);
    expect(rig.sentMappings.length).to.equal(1);
  });
});
