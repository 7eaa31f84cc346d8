import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { ENOSPC, O_RDWR, O_TRUNC } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { ALWAYS, PAGE, Rig, type RigOptions } from './support/rig.ts';

const R = DAX_RANGE;
const SIZE = 3 * PAGE + 100;

/** A rig whose file of SIZE bytes is mapped as a copy, and open. */
async function copied(options: RigOptions = {}): Promise<{ rig: Rig; nodeid: number; fh: number }> {
  const rig = await Rig.mounted(ALWAYS, { dax: { tail: 'copy' }, ...options });
  writeFileSync(rig.path('file'), Buffer.alloc(SIZE, 'f'));
  const nodeid = await rig.lookup('file');
  expect(await rig.map(nodeid, 0, 0)).to.equal(0);
  const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
  return { rig, nodeid, fh };
}

const text = (bytes: Uint8Array, at: number, len: number): string =>
  Buffer.from(bytes).toString('latin1', at, at + len);
const onHost = (rig: Rig, at: number, len: number): string => text(readFileSync(rig.path('file')), at, len);

describe("the tail mode 'copy'", () => {
  it('maps a private copy of the last range, zero behind the end; other ranges are the file', async () => {
    using rig = await Rig.mounted(ALWAYS, { dax: { tail: 'copy' } });
    writeFileSync(rig.path('long'), Buffer.alloc(R + 10, 'l'));
    const nodeid = await rig.lookup('long');
    await rig.map(nodeid, 0, 0);
    await rig.map(nodeid, 1, 1);
    using first = rig.memory(0);
    using last = rig.memory(R);
    expect(rig.mapped).to.deep.equal([
      [0, R, 0],
      [R, R, 0],
    ]);
    expect(text(last.u8, 0, 12)).to.equal(`${'l'.repeat(10)}\0\0`);
    first.u8.set(Buffer.from('store'));
    last.u8.set(Buffer.from('store'));
    const bytes = readFileSync(rig.path('long'));
    expect([text(bytes, 0, 5), text(bytes, R, 5)]).to.deep.equal(['store', 'lllll']);
    expect(statSync(rig.path('long')).size).to.equal(R + 10);
  });

  for (const [name, bring] of [
    ['FSYNC', (rig, nodeid, fh) => rig.call((r) => r.fsync(nodeid, fh))],
    ['FLUSH', (rig, nodeid, fh) => rig.call((r) => r.flush(nodeid, fh))],
    ['RELEASE', (rig, nodeid, fh) => rig.call((r) => r.release(nodeid, fh))],
    ['OPEN', (rig, nodeid) => rig.call((r) => r.open(nodeid, O_RDWR))],
    ['SYNCFS', (rig) => rig.call((r) => r.syncfs(1))],
    ['REMOVEMAPPING', (rig, nodeid) => rig.unmap(nodeid, 0)],
    ['DESTROY', (rig) => rig.call((r) => r.destroy())],
    ['a reset', async (rig) => rig.host.reset()],
  ] as [string, (rig: Rig, nodeid: number, fh: number) => Promise<unknown>][]) {
    it(`brings what the guest stored to the file at ${name}`, async () => {
      const { rig: made, nodeid, fh } = await copied();
      using rig = made;
      using memory = rig.memory(0);
      memory.u8.set(Buffer.from('stored'), PAGE + 7);
      memory.u8.set(Buffer.from('behind the end'), SIZE);
      await rig.call((r) => r.getattr(nodeid));
      expect(onHost(rig, PAGE + 7, 6)).to.equal('ffffff');
      await bring(rig, nodeid, fh);
      expect(onHost(rig, PAGE + 6, 8)).to.equal('fstoredf');
      expect(statSync(rig.path('file')).size).to.equal(SIZE);
    });
  }

  it('gives READ and COPY_FILE_RANGE what the guest stored', async () => {
    const { rig: made, nodeid, fh } = await copied();
    using rig = made;
    using memory = rig.memory(0);
    memory.u8.set(Buffer.from('one'));
    expect(text((await rig.call((r) => r.read(nodeid, fh, 0, 3))).data, 0, 3)).to.equal('one');
    memory.u8.set(Buffer.from('two'));
    const { fh: to } = await rig.call((r) => r.create(1, 'target', O_RDWR, 0o644));
    const target = await rig.lookup('target');
    await rig.call((r) => r.copyFileRange({ nodeid, fh, offset: 0 }, { nodeid: target, fh: to, offset: 0 }, 3));
    expect(readFileSync(rig.path('target'), 'utf8')).to.equal('two');
  });

  it('shows what the guest writes, and keeps what it stored beside it meanwhile', async () => {
    let during = (): void => {};
    const {
      rig: made,
      nodeid,
      fh,
    } = await copied({
      wrap: (fs) => {
        const write = fs.write.bind(fs);
        fs.write = (...args) => {
          during();
          return write(...args);
        };
        return fs;
      },
    });
    using rig = made;
    using memory = rig.memory(0);
    during = () => memory.u8.set(Buffer.from('STORED'), 20);
    await rig.call((r) => r.write(nodeid, fh, 10, 7), Buffer.from('written'));
    expect(text(memory.u8, 9, 18)).to.equal('fwrittenfffSTOREDf');
    expect(onHost(rig, 9, 18)).to.equal('fwrittenffffffffff');
    await rig.call((r) => r.fsync(nodeid, fh));
    expect(onHost(rig, 9, 18)).to.equal('fwrittenfffSTOREDf');
  });

  it('shows what is written while the mapping is on its way', async () => {
    using rig = await Rig.mounted(ALWAYS, { dax: { tail: 'copy' } });
    writeFileSync(rig.path('file'), Buffer.alloc(SIZE, 'f'));
    const nodeid = await rig.lookup('file');
    const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
    rig.hold();
    const sent = rig.sendMap(nodeid, 0, 0);
    await rig.inFlight();
    await rig.call((r) => r.write(nodeid, fh, SIZE, 5), Buffer.from('added'));
    rig.release();
    await rig.reply(sent);
    using memory = rig.memory(0);
    expect(text(memory.u8, SIZE - 1, 7)).to.equal('fadded\0');
  });

  it('holds what the host appended before the guest learns of it', async () => {
    const { rig: made, nodeid } = await copied();
    using rig = made;
    using memory = rig.memory(0);
    memory.u8[5] = 0x53;
    appendFileSync(rig.path('file'), Buffer.alloc(2 * PAGE, 'h'));
    expect((await rig.call((r) => r.getattr(nodeid))).readAttributes().size).to.equal(SIZE + 2 * PAGE);
    expect(text(memory.u8, SIZE - 2, 4)).to.equal('ffhh');
    expect(text(memory.u8, SIZE + 2 * PAGE - 1, 2)).to.equal('h\0');
    expect(memory.u8[5], 'what the guest stored stays').to.equal(0x53);
  });

  it('never shows bytes again that were cut off, nor those that were stored behind the end', async () => {
    const { rig: made, nodeid } = await copied();
    using rig = made;
    using memory = rig.memory(0);
    memory.u8.set(Buffer.from('stray'), SIZE + 10);
    await rig.call((r) => r.setattr(nodeid, { size: PAGE + 1 }));
    await rig.call((r) => r.setattr(nodeid, { size: SIZE + 50 }));
    expect(memory.u8.subarray(PAGE + 1).every((byte) => byte === 0)).to.equal(true);
    expect(memory.u8.subarray(0, PAGE + 1).every((byte) => byte === 0x66)).to.equal(true);
    await rig.unmap(nodeid, 0);
    expect(
      readFileSync(rig.path('file'))
        .subarray(PAGE + 1)
        .every((byte) => byte === 0),
    ).to.equal(true);
  });

  it('follows a CREATE that opens or truncates the file by its name', async () => {
    const { rig: made, nodeid } = await copied();
    using rig = made;
    using memory = rig.memory(0);
    memory.u8.set(Buffer.from('kept'));
    await rig.call((r) => r.create(1, 'file', O_RDWR, 0o644));
    expect([text(memory.u8, 0, 4), onHost(rig, 0, 4)]).to.deep.equal(['kept', 'kept']);
    await rig.call((r) => r.create(1, 'file', O_RDWR | O_TRUNC, 0o644));
    expect(memory.u8.every((byte) => byte === 0)).to.equal(true);
    await rig.unmap(nodeid, 0);
    expect(statSync(rig.path('file')).size).to.equal(0);
  });

  it('follows the host at an OPEN', async () => {
    const { rig: made, nodeid } = await copied();
    using rig = made;
    using memory = rig.memory(0);
    writeFileSync(rig.path('file'), Buffer.alloc(PAGE, 'h'));
    await rig.call((r) => r.open(nodeid, O_RDWR));
    expect(text(memory.u8, PAGE - 1, 2)).to.equal('h\0');
  });

  it('fails FSYNC, FLUSH and SYNCFS when the file cannot take the stores, which stay due', async () => {
    const mock = mockSys();
    const { rig: made, nodeid, fh } = await copied({ sys: mock });
    using rig = made;
    using memory = rig.memory(0);
    memory.u8.set(Buffer.from('due'), 2 * PAGE);
    mock.failNext('fd.pwrite', ENOSPC, 4);
    expect(await rig.errno((r) => r.fsync(nodeid, fh))).to.equal(ENOSPC);
    expect(await rig.errno((r) => r.flush(nodeid, fh))).to.equal(ENOSPC);
    expect(await rig.errno((r) => r.syncfs(1))).to.equal(ENOSPC);
    expect(await rig.errno((r) => r.release(nodeid, fh)), 'it is closed all the same').to.equal(0);
    expect(rig.fs.stats.handles).to.equal(0);
    expect(rig.lines.some((line) => line.includes('cannot write a copied range back'))).to.equal(true);
    await rig.call((r) => r.open(nodeid, O_RDWR));
    expect(onHost(rig, 2 * PAGE, 3)).to.equal('due');
  });

  it('says that the host can have cut the file meanwhile: nothing is written behind its end', async () => {
    const { rig: made, nodeid, fh } = await copied();
    using rig = made;
    using memory = rig.memory(0);
    memory.u8.fill(0x53, 0, SIZE);
    truncateSync(rig.path('file'), PAGE + 5);
    await rig.call((r) => r.fsync(nodeid, fh));
    expect([statSync(rig.path('file')).size, onHost(rig, PAGE, 5)]).to.deep.equal([PAGE + 5, 'SSSSS']);
  });

  it('leaves no trace when memory for the copy is short', async () => {
    const mock = mockSys();
    using rig = await Rig.mounted(ALWAYS, { dax: { tail: 'copy' }, sys: mock });
    writeFileSync(rig.path('file'), Buffer.alloc(SIZE));
    const nodeid = await rig.lookup('file');
    for (const call of ['mem.memfdCreate', 'mem.addSeals', 'mem.mmap'] as const) {
      mock.failNext(call, 12);
      expect(await rig.map(nodeid, 0, 0), call).to.equal(12);
    }
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
  });
});
