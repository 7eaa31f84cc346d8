/** Contexts, fences and limits over the end of a process. */
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { dice } from '../../../virtio-device/test/dice.ts';
import {
  GpuError,
  MEMORY_CAPSET_ID,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/index.ts';
import * as encode from '../../src/testing/index.ts';
import { GpuRig, PAGE } from '../device/rig.ts';
import { LOST_CAPSET, SLOW_CAPSET, Survivor } from './survivor.ts';

const OK = VIRTIO_GPU_RESP_OK_NODATA;
const slow = { ctxId: 5 };
const lost = { ctxId: 6 };
const submit = (idLo: number, header = slow): Uint8Array =>
  encode.encodeSubmit3d(Uint8Array.of(idLo), { ...header, fence: { idLo, ringIdx: 2 } });

describe('contexts and displays over the end of a process', () => {
  let leaks = leakCheck();
  let survivor: Survivor;
  beforeEach(async () => {
    leaks = leakCheck();
    survivor = new Survivor();
    expect(await survivor.status(encode.encodeCtxCreate({ contextInit: SLOW_CAPSET }, slow))).to.equal(OK);
    expect(await survivor.status(encode.encodeCtxCreate({ contextInit: LOST_CAPSET }, lost))).to.equal(OK);
  });
  afterEach(() => {
    survivor[Symbol.dispose]();
    leaks.check();
  });

  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 4; turn++) await survivor.host.turn();
  };

  it('are asked again for the fences that were not reached, in their order', async () => {
    const heads = [submit(1), submit(2), submit(3)].map((command) => survivor.send(command));
    await settle();
    survivor.life.slow[0]!.fences[1]!.done();
    await settle();
    expect(survivor.host.driver(0).take()).to.equal(null);
    survivor.rebirth();
    await settle();
    const { fences, submits } = survivor.life.slow[0]!;
    expect(fences.map(({ ring }) => ring)).to.deep.equal([2, 2, 2]);
    expect(submits, 'what was carried out is not submitted again').to.deep.equal([]);
    expect(survivor.host.driver(0).take()).to.equal(null);
    for (const { done } of fences) done();
    const replies: { readonly head: number }[] = [];
    await survivor.host.until(() => {
      for (let one = survivor.host.driver(0).take(); one !== null; one = survivor.host.driver(0).take())
        replies.push(one);
      return replies.length === heads.length;
    });
    expect(replies.map(({ head }) => head)).to.deep.equal(heads);
    expect(survivor.records()).to.equal(2);
  });

  it('are given again what they had not carried out', async () => {
    survivor.life.slow[0]!.slowSubmit = true;
    survivor.send(submit(9));
    await settle();
    expect(survivor.life.slow[0]!.submits.length).to.equal(1);
    survivor.rebirth();
    await settle();
    const { fences } = survivor.life.slow[0]!;
    expect(fences.length).to.equal(1);
    fences[0]!.done();
    expect((await survivor.answer()).length).to.equal(24);
  });

  it('that cannot go on refuse what is submitted, and their fences are reached', async () => {
    const head = survivor.send(submit(4, lost));
    await settle();
    survivor.rebirth();
    expect(survivor.life.slow.length, 'the other one').to.equal(1);
    expect((await survivor.answer()).length).to.equal(24);
    expect(head).to.be.at.least(0);
    expect(await survivor.status(submit(5, lost))).to.equal(VIRTIO_GPU_RESP_ERR_UNSPEC);
    expect(await survivor.status(encode.encodeCtxDestroy(lost))).to.equal(OK);
    survivor.rebirth();
    expect(survivor.life.device.stats.contexts).to.equal(1);
  });

  it('remember words', async () => {
    const { host } = survivor.life.slow[0]!;
    host.remember(6, 0xffff_ffff);
    host.remember(0, 17);
    survivor.rebirth();
    const again = survivor.life.slow[0]!.host;
    expect([0, 1, 6].map((place) => again.recall(place))).to.deep.equal([17, 0, 0xffff_ffff]);
    expect(() => again.remember(7, 1)).to.throw(RangeError);
  });

  it('find the displays that were plugged meanwhile', async () => {
    survivor.life.device.setOutputs([{ width: 640, height: 480 }]);
    survivor.life.device.setOutputs([{ width: 800, height: 600 }]);
    const shown = await survivor.ask(encode.encodeGetDisplayInfo());
    const changes = survivor.host.configChanges;
    survivor.rebirth();
    await settle();
    expect(survivor.host.configChanges).to.equal(changes + 1);
    expect(survivor.life.device.config[0], 'the event').to.equal(1);
    expect(await survivor.ask(encode.encodeGetDisplayInfo())).to.deep.equal(shown);
    expect(survivor.records()).to.equal(3);
  });

  it('are lost with all else, and said to be, when the memory is full', async () => {
    const memory = { ctxId: 1 };
    expect(await survivor.status(encode.encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID }, memory))).to.equal(OK);
    const blob = { blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: PAGE };
    for (let resourceId = 1; resourceId <= 300; resourceId++) {
      expect(await survivor.status(encode.encodeResourceCreateBlob({ ...blob, resourceId }, memory))).to.equal(OK);
    }
    expect(survivor.warnings.filter((line) => line.includes('state memory is full')).length).to.equal(1);
    expect([...survivor.afterlife.kept.keys()]).to.deep.equal([]);
    expect(await survivor.status(encode.encodeResourceUnref(300))).to.equal(OK);
    survivor.rebirth();
    expect(survivor.life.device.stats).to.include({ resources: 0, contexts: 0, hostmem: 0 });
  });

  it('bear a state that somebody spoiled', async () => {
    const memory = { ctxId: 1 };
    const pages = [{ addr: survivor.host.ram.gpa + 0x8_0000, length: 4 * PAGE }];
    const box = { x: 0, y: 0, width: 64, height: 64 };
    const picture = { resourceId: 1, format: VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, width: 64, height: 64 };
    for (const command of [
      encode.encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID }, memory),
      encode.encodeResourceCreate2d(picture),
      encode.encodeAttachBacking({ resourceId: 1, entries: pages }),
      encode.encodeSetScanout({ ...box, scanoutId: 0, resourceId: 1 }),
      encode.encodeResourceCreateBlob({ resourceId: 2, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: PAGE }, memory),
      encode.encodeResourceMapBlob({ resourceId: 2, offset: PAGE }),
      encode.encodeCtxAttachResource(2, memory),
    ]) {
      expect(await survivor.status(command)).to.be.below(VIRTIO_GPU_RESP_ERR_UNSPEC);
    }
    const whole = survivor.afterlife.bytes.slice();
    const roll = dice(7);
    let takenUp = 0;
    for (let round = 0; round < 150; round++) {
      const spoiled = whole.slice();
      const words = new Uint32Array(spoiled.buffer);
      for (let count = 1 + roll(3); count > 0; count--)
        words[roll(600)] = [0, 1, 2, 0xffff_ffff, roll(0x1_0000)][roll(5)]!;
      survivor.afterlife.bytes = spoiled;
      survivor.rebirth();
      const { resources, contexts } = survivor.life.device.stats;
      expect(resources).to.be.at.most(2);
      expect(contexts).to.be.at.most(3);
      takenUp += resources > 0 ? 1 : 0;
    }
    expect(takenUp).to.be.within(20, 149);
  });

  it('are lost when a file of theirs was, and nothing is left of the rest', async () => {
    const picture = { resourceId: 1, format: VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, width: 64, height: 64 };
    expect(await survivor.status(encode.encodeResourceCreate2d(picture))).to.equal(OK);
    expect(await survivor.status(encode.encodeResourceCreate2d({ ...picture, resourceId: 2 }))).to.equal(OK);
    const [name] = [...survivor.afterlife.kept.keys()];
    survivor.afterlife.kept.get(name!)!.close();
    survivor.afterlife.kept.delete(name!);
    survivor.rebirth();
    expect(survivor.life.device.stats).to.include({ resources: 0, contexts: 0, hostmem: 0 });
  });
});

describe('the option stateBytes', () => {
  it('is checked', () => {
    expect(() => new GpuRig({ survive: true, stateBytes: 100 })).to.throw(GpuError);
  });
});
