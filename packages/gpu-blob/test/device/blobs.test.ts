import { fileIdentity } from '@oriel/guest-memory';
import { ENOSPC } from '@oriel/sys';
import { expect } from 'chai';
import {
  VIRTIO_GPU_BLOB_MEM_GUEST,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_MAP_CACHE_CACHED,
  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_MAP_INFO,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/index.ts';
import {
  encodeResourceCreateBlob,
  encodeResourceMapBlob,
  encodeResourceUnmapBlob,
  encodeResourceUnref,
} from '../../src/testing/index.ts';
import { GpuRig, PAGE, sys, WINDOW } from './rig.ts';

const REGION = 1;
const OK = VIRTIO_GPU_RESP_OK_NODATA;
const UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC;

describe('blobs in the host-visible region', () => {
  let rig: GpuRig;
  beforeEach(async () => {
    rig = new GpuRig();
    await rig.context(1);
  });
  afterEach(() => rig[Symbol.dispose]());

  const map = (resourceId: number, offset: number) => rig.ask(encodeResourceMapBlob({ resourceId, offset }));
  const unmap = (resourceId: number) => rig.status(encodeResourceUnmapBlob(resourceId));

  it('creates, maps, unmaps and unrefs', async () => {
    expect(await rig.blob(2, 3 * PAGE)).to.equal(OK);
    const reply = await map(2, 5 * PAGE);
    expect(reply).to.include({ type: VIRTIO_GPU_RESP_OK_MAP_INFO, mapInfo: VIRTIO_GPU_MAP_CACHE_CACHED, flags: 0 });
    expect(rig.host.transport.sent).to.have.length(1);
    expect(rig.host.transport.sent[0]).to.deep.include({ kind: 'map' });
    expect(rig.host.transport.sent[0]!.request).to.include({ shmOffset: 5 * PAGE, len: 3 * PAGE, fdOffset: 0 });
    expect(await unmap(2)).to.equal(OK);
    expect(rig.host.region(REGION).entries()).to.deep.equal([]);
    expect(await rig.status(encodeResourceUnref(2))).to.equal(OK);
    expect(rig.device.stats).to.include({ resources: 0, mappings: 0, hostmem: 0, waiting: 0 });
    expect(rig.memory.objects()).to.deep.equal([]);
  });

  it('refuses a second map, a map of nothing, and bad offsets, and leaves no trace', async () => {
    await rig.blob(2, 2 * PAGE);
    await rig.blob(3, 2 * PAGE);
    expect((await map(2, 0)).type).to.equal(VIRTIO_GPU_RESP_OK_MAP_INFO);
    expect((await map(2, 0)).type, 'twice').to.equal(UNSPEC);
    expect((await map(2, 8 * PAGE)).type, 'twice, elsewhere').to.equal(UNSPEC);
    expect((await map(9, 0)).type).to.equal(VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
    for (const offset of [PAGE, 0, PAGE - 1, 12 * PAGE + 8, WINDOW - PAGE, WINDOW, 2 ** 40, 2 ** 53 + 4096]) {
      expect((await map(3, offset)).type, `offset ${offset}`).to.equal(UNSPEC);
    }
    expect((await map(3, 2 * PAGE)).type, 'adjacent').to.equal(VIRTIO_GPU_RESP_OK_MAP_INFO);
    expect(rig.host.transport.sent).to.have.length(2);
  });

  it('answers an unmap of what is not mapped: OK only after a failed map, as Linux sends it then', async () => {
    await rig.blob(2);
    expect(await unmap(2)).to.equal(UNSPEC);
    expect(await unmap(7)).to.equal(VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
    rig.host.transport.behaviour.answer = () => -1;
    expect((await map(2, 0)).type).to.equal(UNSPEC);
    expect(await unmap(2)).to.equal(OK);
    rig.host.transport.behaviour.answer = () => 0;
    expect((await map(2, 0)).type).to.equal(VIRTIO_GPU_RESP_OK_MAP_INFO);
  });

  it('unmaps before an unref is answered, also while the map is under way', async () => {
    await rig.blob(2);
    await rig.blob(3);
    await map(2, 0);
    rig.host.transport.behaviour.delayMs = 200;
    const first = rig.send(encodeResourceUnref(2));
    await rig.settle();
    expect(rig.device.resources.get(2), 'the id is free').to.equal(undefined);
    expect(rig.memory.objects(), 'the memory is not').to.have.length(2);
    const { head, reply } = await rig.reply();
    expect([head, reply.type]).to.deep.equal([first, OK]);
    expect(rig.memory.objects()).to.have.length(1);

    const mapped = rig.send(encodeResourceMapBlob({ resourceId: 3, offset: 0 }));
    const gone = rig.send(encodeResourceUnref(3));
    const replies = [await rig.reply(), await rig.reply()];
    expect(replies.map(({ head: h, reply: r }) => [h, r.type])).to.deep.equal([
      [mapped, VIRTIO_GPU_RESP_OK_MAP_INFO],
      [gone, OK],
    ]);
    expect(rig.device.stats).to.include({ mappings: 0, hostmem: 0 });
    expect(rig.host.region(REGION).entries()).to.deep.equal([]);
  });

  it('takes two unmaps in a row while answers are late', async () => {
    for (const id of [2, 3, 4]) {
      await rig.blob(id);
      await map(id, id * PAGE);
    }
    rig.host.transport.behaviour.delayMs = 10;
    const heads = [2, 3, 4].flatMap((id) => [rig.send(encodeResourceUnmapBlob(id)), rig.send(encodeResourceUnref(id))]);
    const seen: number[] = [];
    for (const _ of heads) seen.push((await rig.reply()).reply.type);
    expect(seen).to.deep.equal(heads.map(() => OK));
    expect(rig.host.transport.waiting).to.equal(0);
  });

  it('bounds host memory, mappings and resources with OUT_OF_MEMORY', async () => {
    rig[Symbol.dispose]();
    rig = new GpuRig({ maxHostmem: 10 * PAGE, maxMappings: 2, maxResources: 4, maxContexts: 1 });
    await rig.context(1);
    expect(await rig.blob(2, 11 * PAGE)).to.equal(VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
    expect(await rig.blob(2, 6 * PAGE)).to.equal(OK);
    expect(await rig.blob(3, 5 * PAGE)).to.equal(VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
    expect(rig.device.stats.hostmem).to.equal(6 * PAGE);
    expect(await rig.blob(3, PAGE)).to.equal(OK);
    expect(await rig.blob(4, PAGE)).to.equal(OK);
    expect((await map(2, 0)).type).to.equal(VIRTIO_GPU_RESP_OK_MAP_INFO);
    expect((await map(3, 8 * PAGE)).type).to.equal(VIRTIO_GPU_RESP_OK_MAP_INFO);
    expect((await map(4, 9 * PAGE)).type).to.equal(VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
    expect(await unmap(4), 'Linux frees the node so').to.equal(OK);
    expect(await unmap(3)).to.equal(OK);
    expect((await map(4, 9 * PAGE)).type).to.equal(VIRTIO_GPU_RESP_OK_MAP_INFO);
    expect(await rig.status(encodeResourceUnref(4))).to.equal(OK);
    expect(await rig.blob(5, PAGE)).to.equal(OK);
    expect(await rig.blob(6, PAGE / 4)).to.equal(OK);
    expect(await rig.blob(7, 1), 'count').to.equal(VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
  });

  it('reports a full front-end as OUT_OF_MEMORY', async () => {
    await rig.blob(2);
    rig.host.transport.behaviour.answer = () => -ENOSPC;
    expect((await map(2, 0)).type).to.equal(VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
    expect(rig.device.stats.mappings).to.equal(0);
  });

  it('refuses blobs that make no sense', async () => {
    const create = (fields: Partial<Parameters<typeof encodeResourceCreateBlob>[0]>, ctxId = 1) =>
      rig.status(
        encodeResourceCreateBlob(
          { resourceId: 2, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: PAGE, ...fields },
          { ctxId },
        ),
      );
    const wrong = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    expect(await create({ blobMem: 0 })).to.equal(wrong);
    expect(await create({ blobMem: 4 })).to.equal(wrong);
    expect(await create({ blobFlags: 8 })).to.equal(wrong);
    expect(await create({ size: 0 })).to.equal(wrong);
    expect(await create({ size: { lo: 0, hi: 0x200000 } })).to.equal(wrong);
    expect(await create({ entries: [{ addr: rig.host.ram.gpa, length: PAGE }] })).to.equal(wrong);
    expect(await create({ resourceId: 0 })).to.equal(VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
    expect(await create({}, 0)).to.equal(VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
    expect(await create({}, 3)).to.equal(VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
    const guest = { blobMem: VIRTIO_GPU_BLOB_MEM_GUEST };
    expect(await create({ ...guest }), 'no pages').to.equal(wrong);
    expect(await create({ ...guest, nrEntries: 2 ** 32 - 1 })).to.equal(UNSPEC);
    expect(await create({ ...guest, nrEntries: 2, entries: [{ addr: rig.host.ram.gpa, length: PAGE }] })).to.equal(
      UNSPEC,
    );
    expect(await create({ ...guest, entries: [{ addr: 0x1000, length: PAGE }] }), 'not RAM').to.equal(UNSPEC);
    expect(await create({ ...guest, entries: [{ addr: rig.host.ram.gpa, length: PAGE - 1 }] }), 'short').to.equal(
      wrong,
    );
    expect(rig.device.stats).to.include({ resources: 0, hostmem: 0 });
    expect(await create({ ...guest, entries: [{ addr: rig.host.ram.gpa, length: PAGE }] }, 0)).to.equal(OK);
    expect((await map(2, 0)).type, 'a guest blob').to.equal(UNSPEC);
  });

  it('rounds a mapping up to whole pages, and refuses a blob that is not mappable', async () => {
    await rig.blob(2, 5000);
    await map(2, 0);
    expect(rig.host.transport.sent[0]!.request.len).to.equal(Math.ceil(5000 / PAGE) * PAGE);
    const fields = { resourceId: 3, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: PAGE, blobFlags: 2 };
    expect(await rig.status(encodeResourceCreateBlob(fields, { ctxId: 1 }))).to.equal(OK);
    expect((await map(3, 8 * PAGE)).type).to.equal(UNSPEC);
  });

  it('shares the memory of one blob id', async () => {
    await rig.blob(2, 2 * PAGE, 7);
    await rig.blob(3, PAGE, 7);
    expect(await rig.blob(4, 3 * PAGE, 7), 'larger than the object').to.equal(VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
    expect(rig.memory.objects()).to.have.length(1);
    expect(rig.memory.find(7, 0)).to.include({ blobs: 2, size: 2 * PAGE });
    await rig.status(encodeResourceUnref(2));
    expect(rig.memory.find(7, 0)).to.include({ blobs: 1 });
    await rig.status(encodeResourceUnref(3));
    expect(rig.memory.find(7, 0)).to.equal(null);
  });

  it('ends without a message at a reset, and with nothing held', async () => {
    await rig.blob(2);
    await map(2, 0);
    rig.host.transport.behaviour.delayMs = 200;
    await rig.blob(3);
    rig.send(encodeResourceMapBlob({ resourceId: 3, offset: PAGE }));
    await rig.settle();
    const sent = rig.host.transport.sent.length;
    rig.host.reset();
    expect(rig.host.transport.sent).to.have.length(sent);
    expect(rig.device.stats).to.include({ resources: 0, contexts: 0, mappings: 0, hostmem: 0, waiting: 0 });
    expect(rig.memory.objects()).to.deep.equal([]);
    rig.host.transport.behaviour.delayMs = 0;
    rig.host.start();
    await rig.context(1);
    expect(await rig.blob(2)).to.equal(OK);
    expect((await map(2, 0)).type).to.equal(VIRTIO_GPU_RESP_OK_MAP_INFO);
  });

  it('frees at a reset what was unreferenced and still waits for its unmap', async () => {
    await rig.blob(2);
    await map(2, 0);
    rig.host.transport.behaviour.delayMs = 200;
    rig.send(encodeResourceUnref(2));
    await rig.settle();
    expect(rig.memory.objects()).to.have.length(1);
    rig.host.reset();
    expect(rig.memory.objects()).to.deep.equal([]);
    expect(rig.device.stats).to.include({ hostmem: 0, waiting: 0 });
  });

  it('takes away what a front-end keeps over a reset, and frees the memory then', async () => {
    await rig.blob(2);
    await map(2, 0);
    rig.host.pause();
    rig.device.reset();
    expect(rig.device.stats).to.include({ resources: 0, mappings: 0, hostmem: PAGE });
    expect(rig.memory.objects()).to.have.length(1);
    rig.host.start();
    await rig.context(1);
    expect(await rig.blob(2)).to.equal(OK);
    expect((await map(2, 0)).type, 'the same place').to.equal(VIRTIO_GPU_RESP_OK_MAP_INFO);
    expect(rig.host.transport.sent.map(({ kind }) => kind)).to.deep.equal(['map', 'unmap', 'map']);
    expect(rig.device.stats.hostmem).to.equal(PAGE);
    expect(rig.memory.objects()).to.have.length(1);
  });

  it('has room for the next blob while one is on its way out', async () => {
    rig[Symbol.dispose]();
    rig = new GpuRig({ maxMappings: 1 });
    await rig.context(1);
    for (const id of [2, 3]) await rig.blob(id);
    await map(2, 0);
    rig.send(encodeResourceUnmapBlob(2));
    rig.send(encodeResourceMapBlob({ resourceId: 3, offset: 8 * PAGE }));
    const types = [(await rig.reply()).reply.type, (await rig.reply()).reply.type];
    expect(types).to.deep.equal([OK, VIRTIO_GPU_RESP_OK_MAP_INFO]);
  });

  it('needs sealed guest RAM, and neither its own blobs nor the files of other devices', async () => {
    await rig.blob(2, PAGE, 5);
    const file = fileIdentity(sys, rig.memory.find(5, 0)!.fd)!;
    expect(rig.device.needsMemory({ ...file, sealed: true }), 'not mapped').to.equal(true);
    await map(2, 0);
    expect(rig.device.needsMemory({ ...file, sealed: true })).to.equal(false);
    expect(rig.device.needsMemory({ dev: file.dev, ino: file.ino + 1, sealed: true })).to.equal(true);
    expect(rig.device.needsMemory({ dev: file.dev, ino: file.ino + 1, sealed: false })).to.equal(false);
    await unmap(2);
    expect(rig.device.needsMemory({ ...file, sealed: true })).to.equal(true);
  });
});
