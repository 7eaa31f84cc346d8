import { expect } from 'chai';
import {
  type ContextHost,
  type ContextType,
  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/index.ts';
import { encodeCtxCreate, encodeCtxDestroy, encodeSubmit3d, type GpuHeader } from '../../src/testing/index.ts';
import { GpuRig, SlowContext } from './rig.ts';

const OK = VIRTIO_GPU_RESP_OK_NODATA;
const SLOW_CAPSET = 9;
const commands = Uint8Array.of(1, 2, 3, 4, 5);

describe('fences', () => {
  let rig: GpuRig;
  let contexts: SlowContext[];
  beforeEach(async () => {
    contexts = [];
    const slow: ContextType = {
      capsetId: SLOW_CAPSET,
      name: 'slow',
      maxVersion: 0,
      capset: new Uint8Array(8),
      create(host: ContextHost) {
        const context = new SlowContext(host);
        contexts.push(context);
        return context;
      },
    };
    rig = new GpuRig({ contextTypes: [slow] });
    for (const ctxId of [1, 2]) await rig.status(encodeCtxCreate({ contextInit: SLOW_CAPSET }, { ctxId }));
  });
  afterEach(() => rig[Symbol.dispose]());

  const fenced = (ctxId: number, idLo: number, ringIdx?: number): GpuHeader => ({
    ctxId,
    fence: ringIdx === undefined ? { idLo } : { idLo, ringIdx },
  });
  const submit = (header: GpuHeader) => rig.send(encodeSubmit3d(commands, header));
  const complete = (context: SlowContext, ring: number): void => {
    const at = context.fences.findIndex((fence) => fence.ring === ring);
    context.fences.splice(at, 1)[0]!.done();
  };

  it('answers a command without a fence at once', async () => {
    expect(await rig.ask(encodeSubmit3d(commands, { ctxId: 1 }))).to.include({ type: OK, flags: 0, fenceIdLo: 0 });
    expect(contexts[0]!.fences).to.deep.equal([]);
  });

  it('repeats flags, fence id, context and ring in the reply', async () => {
    submit({ ctxId: 2, fence: { idLo: 0xfffffffe, idHi: 0xffffffff, ringIdx: 63 } });
    await rig.settle();
    complete(contexts[1]!, 63);
    const { reply } = await rig.reply();
    expect(reply).to.include({
      type: OK,
      flags: 3,
      fenceIdLo: 0xfffffffe,
      fenceIdHi: 0xffffffff,
      ctxId: 2,
      ringIdx: 63,
    });
  });

  it('completes timelines in any order, and each timeline in its own', async () => {
    const first = submit(fenced(1, 1, 0));
    const second = submit(fenced(1, 2, 0));
    const otherRing = submit(fenced(1, 3, 1));
    const otherContext = submit(fenced(2, 4, 0));
    await rig.settle();
    complete(contexts[1]!, 0);
    expect((await rig.reply()).head).to.equal(otherContext);
    complete(contexts[0]!, 1);
    expect((await rig.reply()).head).to.equal(otherRing);
    // The later one of ring 0 is done first: it waits.
    contexts[0]!.fences[1]!.done();
    await rig.settle();
    expect(rig.host.driver(0).take()).to.equal(null);
    contexts[0]!.fences[0]!.done();
    expect([(await rig.reply()).head, (await rig.reply()).head]).to.deep.equal([first, second]);
  });

  it('answers what comes later without a fence while a fence waits', async () => {
    const waiting = submit(fenced(1, 1, 0));
    const later = rig.send(encodeSubmit3d(commands, { ctxId: 2 }));
    expect((await rig.reply()).head).to.equal(later);
    complete(contexts[0]!, 0);
    expect((await rig.reply()).head).to.equal(waiting);
  });

  it('keeps all fences without a ring in one timeline', async () => {
    const one = submit(fenced(1, 1));
    const two = submit(fenced(2, 2));
    await rig.settle();
    expect(contexts[0]!.fences[0]!.ring).to.equal(-1);
    complete(contexts[1]!, -1);
    await rig.settle();
    expect(rig.host.driver(0).take()).to.equal(null);
    complete(contexts[0]!, -1);
    expect([(await rig.reply()).head, (await rig.reply()).head]).to.deep.equal([one, two]);
  });

  it('signals what a context leaves when it is destroyed, and ignores it afterwards', async () => {
    const fence = submit(fenced(1, 1, 0));
    contexts[0]!.slowSubmit = true;
    const running = submit(fenced(1, 2, 0));
    const destroy = rig.send(encodeCtxDestroy({ ctxId: 1 }));
    const heads = [await rig.reply(), await rig.reply(), await rig.reply()].map(({ head }) => head);
    expect(heads).to.have.members([fence, running, destroy]);
    expect(contexts[0]!.disposed).to.equal(true);
    for (const { done } of contexts[0]!.fences) done();
    for (const { done } of contexts[0]!.submits) done(OK);
    await rig.settle();
    expect(rig.host.driver(0).take()).to.equal(null);
    expect(rig.device.stats).to.include({ waiting: 0, contexts: 1 });
  });

  it('hands commands on, and waits for a submit that is done later', async () => {
    contexts[0]!.slowSubmit = true;
    const head = submit({ ctxId: 1 });
    await rig.settle();
    expect([...contexts[0]!.submits[0]!.commands]).to.deep.equal([1, 2, 3, 4, 5]);
    expect(rig.host.driver(0).take()).to.equal(null);
    contexts[0]!.submits[0]!.done(OK);
    expect((await rig.reply()).head).to.equal(head);
  });

  it('refuses a size that is not what came, and contexts that are not there', async () => {
    const wrong = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    expect(await rig.status(encodeSubmit3d(commands, { ctxId: 1 }, 4))).to.equal(wrong);
    expect(await rig.status(encodeSubmit3d(commands, { ctxId: 1 }, 6))).to.equal(wrong);
    expect(await rig.status(encodeSubmit3d(commands, { ctxId: 1 }, 0xffffffff))).to.equal(wrong);
    expect(await rig.status(encodeSubmit3d(new Uint8Array(0), { ctxId: 1 }))).to.equal(OK);
    expect(await rig.status(encodeSubmit3d(commands, { ctxId: 7 }))).to.equal(VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
    const failed = await rig.ask(encodeSubmit3d(commands, fenced(7, 9, 0)));
    expect(failed).to.include({ type: VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID, flags: 3, fenceIdLo: 9 });
  });

  it('keeps fences over a pause, whether they are reached during it or after', async () => {
    const during = submit(fenced(1, 1, 0));
    const after = submit(fenced(1, 2, 1));
    const later = rig.send(encodeSubmit3d(commands, { ctxId: 2 }));
    expect((await rig.reply()).head, 'so that none can be un-fetched').to.equal(later);
    rig.host.pause();
    complete(contexts[0]!, 0);
    await rig.settle();
    rig.host.start();
    expect((await rig.reply()).head).to.equal(during);
    complete(contexts[0]!, 1);
    expect((await rig.reply()).head).to.equal(after);
  });

  it('forgets fences at a reset', async () => {
    submit(fenced(1, 1, 0));
    await rig.settle();
    rig.host.reset();
    expect(contexts.every(({ disposed }) => disposed)).to.equal(true);
    for (const { done } of contexts[0]!.fences) done();
    rig.host.start();
    await rig.settle();
    expect(rig.host.driver(0).take()).to.equal(null);
    expect(rig.device.stats.waiting).to.equal(0);
  });
});
