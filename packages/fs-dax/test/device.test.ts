import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassthroughFilesystem } from '@oriel/fs-passthrough';
import { type Operation, PENDING } from '@oriel/fuse';
import { MemoryFilesystem } from '@oriel/fuse/testing';
import { leakCheck, mockSys, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type DaxOptions, FsDevice, type FsDeviceOptions } from '../src/index.ts';
import { ALWAYS, decode, MIB, Rig, type Sent, sys } from './support/rig.ts';

/** The code of what the constructor throws. */
function refusal(options: Partial<FsDeviceOptions>): string {
  try {
    new FsDevice({ sys, fs: new MemoryFilesystem(), tag: 'share', ...options })[Symbol.dispose]();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return 'none';
}

describe('FsDevice', () => {
  it('refuses options that make no sense', () => {
    using _leaks = leakCheck();
    using dir = tempDir();
    const grow: DaxOptions = { tail: 'grow', stateDir: dir.path };
    const window = { windowSize: 4 * MIB };
    expect(refusal({ tag: '' })).to.equal('ERR_FSDAX_TAG');
    for (const queueSize of [0, 4, 100, 65_536, 1.5]) expect(refusal({ queueSize })).to.equal('ERR_FSDAX_OPTION');
    for (const windowSize of [-1, 1, 3 * MIB, 2 ** 60 + 4096]) {
      expect(refusal({ windowSize })).to.equal('ERR_FSDAX_WINDOW');
    }
    for (const minSize of [-1, 0.5, Number.NaN]) {
      expect(refusal({ ...window, dax: { minSize } })).to.equal('ERR_FSDAX_OPTION');
    }
    expect(refusal({ ...window, dax: { tail: 'trim' as 'grow' } })).to.equal('ERR_FSDAX_OPTION');
    expect(refusal({ ...window, dax: { tail: 'grow' }, sharedDir: dir.path })).to.equal('ERR_FSDAX_OPTION');
    expect(refusal({ ...window, dax: grow })).to.equal('ERR_FSDAX_OPTION');
    expect(refusal({ ...window, dax: { ...grow, stateDir: '/none' }, sharedDir: dir.path })).to.equal(
      'ERR_FSDAX_RECORD',
    );
    expect(refusal({ ...window, dax: grow, sharedDir: dir.path })).to.equal('none');
  });

  it('leaves nothing open when memory is short at the start', () => {
    using dir = tempDir();
    const mock = mockSys();
    using _leaks = leakCheck();
    for (let skip = 0; skip < 2; skip++) {
      mock.failNext('mem.mmap', 12, 1, skip);
      const dax: DaxOptions = { tail: 'grow', stateDir: dir.path };
      expect(refusal({ sys: mock, windowSize: 4 * MIB, dax, sharedDir: dir.path }), `mmap ${skip}`).to.equal('ENOMEM');
    }
  });

  it('has no region without a window, and answers mapping requests with ENOSYS', async () => {
    using rig = await Rig.mounted(ALWAYS, { windowSize: 0 });
    expect(rig.device.shmRegions).to.deep.equal([]);
    expect(await rig.map(1, 0, 0)).to.equal(38);
  });

  it('serves several queues, and names its window', async () => {
    using rig = await Rig.mounted(ALWAYS, { numRequestQueues: 3 });
    expect([rig.device.queueCount, rig.device.shmRegions]).to.deep.equal([4, [{ shmid: 0, size: 16 * MIB }]]);
    const sent = [0, 1, 2, 3].map((queue) => rig.send((r) => r.getattr(1), undefined, queue));
    for (const one of sent) expect((await rig.reply(one)).error).to.equal(0);
  });

  it('leaves chains in the ring that no free operation takes, and takes them when one is free', async () => {
    const waiting: Operation[] = [];
    using rig = await Rig.mounted(ALWAYS, {
      queueSize: 8,
      wrap: (fs) => {
        fs.statfs = (op) => {
          waiting.push(op);
          return PENDING;
        };
        return fs;
      },
    });
    // 16 operations for two rings of 8 entries. What the file system did not end before a pause keeps its operation.
    const four = (): Sent[] => [1, 2, 3, 4].map(() => rig.send((r) => r.statfs(1)));
    for (let pause = 1; pause <= 3; pause++) {
      four();
      await rig.taken();
      rig.host.pause();
      rig.collect();
      rig.host.start();
    }
    const last = four();
    await rig.until(() => waiting.length === 16);
    const starved = rig.send((r) => r.getattr(1), undefined, 0);
    await rig.turns(3);
    expect(starved.reply).to.equal(null);
    waiting.at(-1)!.complete(0);
    expect((await rig.reply(starved)).error).to.equal(0);
    for (const op of waiting.slice(0, -1)) op.complete(0);
    await rig.until(() => last.every(({ reply }) => reply !== null));
    expect(last.map((one) => decode(one).error)).to.deep.equal([0, 0, 0, 0]);
  });

  it('goes on with a ring that is filled again while it is emptied', async () => {
    const waiting: Operation[] = [];
    let more = 20;
    using rig: Rig = await Rig.mounted(ALWAYS, {
      queueSize: 8,
      wrap: (fs) => {
        const getattr = fs.getattr.bind(fs);
        fs.statfs = (op) => {
          waiting.push(op);
          return PENDING;
        };
        fs.getattr = (op, nodeid, fh) => {
          rig.collect();
          if (more-- > 0) answered.push(rig.send((r) => r.getattr(1), undefined, 0));
          return getattr(op, nodeid, fh);
        };
        return fs;
      },
    });
    for (let pause = 1; pause <= 4; pause++) {
      for (let index = 0; index < 4; index++) rig.send((r) => r.statfs(1));
      await rig.taken();
      if (pause === 4) break;
      rig.host.pause();
      rig.collect();
      rig.host.start();
    }
    const answered = [rig.send((r) => r.getattr(1), undefined, 0)];
    await rig.turns(3);
    waiting.at(-1)!.complete(0);
    await rig.until(() => answered.length === 21 && answered.every(({ reply }) => reply !== null));
    for (const op of waiting.slice(0, -1)) op.complete(0);
  });

  it('never keeps the loop longer than a budget of chains', async () => {
    const rig = await Rig.mounted(ALWAYS, { host: { batch: 2 } });
    using _end = rig;
    const sent = Array.from({ length: 20 }, () => rig.send((r) => r.getattr(1)));
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(rig.host.counters.batches).to.be.greaterThan(9);
  });

  it('warns that copies are not coherent with the host', () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, 'share'));
    writeFileSync(join(dir.path, 'share/file'), '');
    using fs = new PassthroughFilesystem({ sys, sharedDir: join(dir.path, 'share') });
    const lines: string[] = [];
    const note = (line: string): void => {
      lines.push(line);
    };
    const log = { error: note, warn: note, info: note, debug: note, trace: note };
    using _device = new FsDevice({ sys, fs, tag: 'share', windowSize: 4 * MIB, dax: { tail: 'copy' }, log });
    expect(lines.join()).to.include('not coherent');
  });
});
