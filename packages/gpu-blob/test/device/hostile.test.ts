import { expect } from 'chai';
import {
  type ContextHost,
  type ContextType,
  type DisplaySink,
  MemoryContextType,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/index.ts';
import {
  encodeAttachBacking,
  encodeCtxCreate,
  encodeGetDisplayInfo,
  encodeResourceCreate2d,
  encodeResourceCreateBlob,
  encodeResourceFlush,
  encodeResourceMapBlob,
  encodeSetScanout,
  encodeSubmit3d,
} from '../../src/testing/index.ts';
import { collectLog } from '../support/channel-setup.ts';
import { GpuRig, PAGE, SlowContext, sys, WINDOW } from './rig.ts';

const OK = VIRTIO_GPU_RESP_OK_NODATA;
const WRONG = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
const UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC;
const format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM;
const whole = { x: 0, y: 0, width: 32, height: 32 };

/** Calls each `done` twice: now, or when the test says so. */
class StutteringSink implements DisplaySink {
  readonly name = 'stutter';
  readonly owed: (() => void)[] = [];
  now = true;
  setScanout(): void {}
  update(_scanout: number, _x: number, _y: number, _source: unknown, done: () => void): void {
    if (!this.now) this.owed.push(done);
    else for (let times = 0; times < 2; times++) done();
  }
  updateCursor(): void {}
  moveCursor(): void {}
  hideCursor(): void {}
  [Symbol.dispose](): void {}
}

describe('hostile guests and careless plug-ins', () => {
  const contexts: SlowContext[] = [];
  const slow: ContextType = {
    capsetId: 9,
    name: 'slow',
    maxVersion: 0,
    capset: new Uint8Array(8),
    create(host: ContextHost) {
      const context = new SlowContext(host);
      contexts.push(context);
      return context;
    },
  };
  let rig: GpuRig | null = null;
  const open = (...options: ConstructorParameters<typeof GpuRig>): GpuRig => {
    rig = new GpuRig(...options);
    return rig;
  };
  afterEach(() => {
    rig?.[Symbol.dispose]();
    contexts.length = 0;
  });

  it('refuses rings that do not exist, which no context hears of', async () => {
    const { status } = open({ contextTypes: [slow] });
    for (const ctxId of [1, 2]) await rig!.status(encodeCtxCreate({ contextInit: 9 }, { ctxId }));
    for (const ringIdx of [64, 255]) {
      const submit = encodeSubmit3d(new Uint8Array(4), { ctxId: 1, fence: { idLo: 1, ringIdx } });
      expect(await status.call(rig, submit)).to.equal(WRONG);
    }
    expect(contexts[0]!.fences).to.deep.equal([]);
  });

  it('refuses scanouts and 2D resources that no display has', async () => {
    open({ maxHostmem: 2 ** 33 });
    const create = (resourceId: number, width: number, height: number) =>
      rig!.status(encodeResourceCreate2d({ resourceId, format, width, height }));
    expect(await create(1, 65537, 1)).to.equal(WRONG);
    expect(await create(1, 1, 65537)).to.equal(WRONG);
    expect(await create(1, 65536, 16)).to.equal(OK);
    const show = (width: number) =>
      rig!.status(encodeSetScanout({ x: 0, y: 0, width, height: 16, scanoutId: 0, resourceId: 1 }));
    expect(await show(16385)).to.equal(WRONG);
    expect(await show(16384)).to.equal(OK);
  });

  it('holds the queue as long as it must, however often a display says that it is done', async () => {
    const sink = new StutteringSink();
    open({ sink, outputs: [0, 1, 2].map(() => ({ width: 64, height: 64 })) });
    const { host } = rig!;
    await rig!.status(encodeResourceCreate2d({ resourceId: 1, format, width: 32, height: 32 }));
    await rig!.status(encodeAttachBacking({ resourceId: 1, entries: [{ addr: host.ram.gpa, length: PAGE }] }));
    for (const scanoutId of [0, 1, 2]) {
      await rig!.status(encodeSetScanout({ ...whole, scanoutId, resourceId: 1 }));
    }
    const flush = encodeResourceFlush({ ...whole, resourceId: 1 });
    expect(await rig!.status(flush)).to.equal(OK);
    sink.now = false;
    const waiting = rig!.send(flush);
    const behind = rig!.send(encodeGetDisplayInfo());
    await rig!.settle();
    const [first, second, third] = sink.owed;
    for (const done of [first!, first!, first!, second!]) done();
    await rig!.settle();
    expect(host.driver(0).take(), 'the third still reads').to.equal(null);
    for (const done of [third!, third!, second!]) done();
    expect([(await rig!.reply()).head, (await rig!.reply()).head]).to.deep.equal([waiting, behind]);
    expect(rig!.device.stats).to.include({ flushes: 2, waiting: 0 });
    // Nothing was counted twice: the next flush holds the queue as well.
    sink.owed.length = 0;
    rig!.send(flush);
    rig!.send(encodeGetDisplayInfo());
    await rig!.settle();
    expect(host.driver(0).take()).to.equal(null);
    for (const done of sink.owed) done();
    await rig!.reply();
    await rig!.reply();
  });

  it('answers once, however often a context says that it is done', async () => {
    open({ contextTypes: [slow] });
    await rig!.status(encodeCtxCreate({ contextInit: 9 }, { ctxId: 1 }));
    const [context] = contexts;
    context!.slowSubmit = true;
    const submit = (idLo: number) =>
      rig!.send(encodeSubmit3d(new Uint8Array(4), { ctxId: 1, fence: { idLo, ringIdx: 0 } }));
    const heads = [submit(1), submit(2)];
    await rig!.settle();
    const [one, two] = context!.submits;
    for (const done of [two!.done, two!.done, one!.done, two!.done, one!.done]) done(OK);
    expect(context!.fences, 'one for each').to.have.length(2);
    const [ofTwo, ofOne] = context!.fences;
    for (const done of [ofTwo!.done, ofTwo!.done, ofOne!.done, ofOne!.done]) done();
    expect([(await rig!.reply()).head, (await rig!.reply()).head]).to.deep.equal(heads);
    // The requests are used again: what comes late is none of theirs.
    const next = submit(3);
    await rig!.settle();
    for (const done of [one!.done, two!.done]) done(OK);
    for (const done of [ofOne!.done, ofTwo!.done]) done();
    await rig!.settle();
    expect(rig!.host.driver(0).take()).to.equal(null);
    context!.submits[2]!.done(OK);
    context!.fences[2]!.done();
    expect((await rig!.reply()).head).to.equal(next);
    expect(rig!.device.stats.waiting).to.equal(0);
  });

  it('resets to the end, although a plug-in throws in it', async () => {
    const memory = new MemoryContextType({ sys });
    open({ contextTypes: [slow, memory] });
    for (const ctxId of [1, 2]) await rig!.status(encodeCtxCreate({ contextInit: 9 }, { ctxId }));
    await rig!.context(3);
    for (const resourceId of [2, 3]) {
      const fields = { resourceId, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: PAGE };
      expect(await rig!.status(encodeResourceCreateBlob(fields, { ctxId: 3 }))).to.equal(OK);
    }
    contexts[0]![Symbol.dispose] = () => {
      throw new Error('a bug');
    };
    expect(() => rig!.host.reset()).to.throw('a bug');
    expect(contexts[1]!.disposed).to.equal(true);
    expect(rig!.device.stats).to.include({ contexts: 0, resources: 0, hostmem: 0 });
    expect(memory.objects()).to.deep.equal([]);
  });

  it('fills no log, whatever is mapped where', async () => {
    const { log, lines } = collectLog();
    open({ log }, { log });
    await rig!.context(1);
    for (const id of [2, 3]) await rig!.blob(id, 2 * PAGE);
    await rig!.ask(encodeResourceMapBlob({ resourceId: 2, offset: 4 * PAGE }));
    const from = performance.now();
    for (let round = 0; round < 50; round++) {
      for (const offset of [4 * PAGE, 3 * PAGE, 5 * PAGE, 1, WINDOW - PAGE, 2 ** 52, 2 ** 60]) {
        expect((await rig!.ask(encodeResourceMapBlob({ resourceId: 3, offset }))).type).to.equal(UNSPEC);
      }
    }
    const seconds = (performance.now() - from) / 1000;
    // A few places write lines, ten a second each.
    expect(lines.length).to.be.within(1, 40 * (1 + Math.floor(seconds)));
  });
});
