/** A device that is killed at any step of a command, and another one that goes on. */
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  CURSOR_QUEUE,
  MEMORY_CAPSET_ID,
  VIRTIO_GPU_BLOB_MEM_GUEST,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/index.ts';
import * as encode from '../../src/testing/index.ts';
import { PAGE, sys } from '../device/rig.ts';
import { Survivor } from './survivor.ts';

const format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM;
const BOX = { x: 0, y: 0, width: 64, height: 64 };
const ctx = { ctxId: 1 };
const PICTURE = { resourceId: 1, format, width: 64, height: 64 };
const CURSOR = { scanoutId: 1, x: 3, y: 4, hotX: 1, hotY: 2 };
const UNKNOWN = 99;

const hostBlob = (resourceId: number, size = PAGE, blobId = 0): Uint8Array =>
  encode.encodeResourceCreateBlob({ resourceId, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size, blobId }, ctx);
const fenced = (idLo: number) => ({ fence: { idLo } });

/** Guest pages that lie apart, from a page of the queue's memory that the driver does not use. */
function pages(survivor: Survivor, first: number, count: number): encode.GuestPiece[] {
  const { ram } = survivor.host;
  const start = ram.gpa + ram.size / 2 + (ram.size >> 2);
  return Array.from({ length: count }, (_, index) => ({ addr: start + (first + 2 * index) * PAGE, length: PAGE }));
}

interface Case {
  readonly name: string;
  readonly commands: (survivor: Survivor) => readonly Uint8Array[];
  readonly queue?: number;
  /** The first answer is about what the guest gave up already: any will do. */
  readonly firstIsMoot?: boolean;
}

const CASES: readonly Case[] = [
  { name: 'GET_DISPLAY_INFO', commands: () => [encode.encodeGetDisplayInfo()] },
  { name: 'RESOURCE_CREATE_2D', commands: () => [encode.encodeResourceCreate2d({ ...PICTURE, resourceId: 10 })] },
  { name: 'RESOURCE_CREATE_2D of an id in use', commands: () => [encode.encodeResourceCreate2d(PICTURE)] },
  { name: 'RESOURCE_CREATE_BLOB', commands: () => [hostBlob(10, 3 * PAGE)] },
  { name: 'RESOURCE_CREATE_BLOB of a shared object', commands: () => [hostBlob(10, PAGE, 7)] },
  {
    name: 'RESOURCE_CREATE_BLOB in guest pages',
    commands: (survivor) => [
      encode.encodeResourceCreateBlob({
        resourceId: 10,
        blobMem: VIRTIO_GPU_BLOB_MEM_GUEST,
        size: 12 * PAGE,
        entries: pages(survivor, 8, 12),
      }),
    ],
  },
  { name: 'RESOURCE_UNREF', commands: () => [encode.encodeResourceUnref(3)] },
  { name: 'RESOURCE_UNREF of what is shown', commands: () => [encode.encodeResourceUnref(1)] },
  { name: 'RESOURCE_UNREF of what is mapped', commands: () => [encode.encodeResourceUnref(2)] },
  { name: 'RESOURCE_UNREF of what a map was refused of', commands: () => [encode.encodeResourceUnref(5)] },
  { name: 'RESOURCE_UNREF of nothing', commands: () => [encode.encodeResourceUnref(UNKNOWN)] },
  {
    name: 'RESOURCE_UNREF, and the same id again',
    commands: () => [encode.encodeResourceUnref(2), hostBlob(2, 2 * PAGE)],
  },
  {
    name: 'RESOURCE_UNREF twice, fenced',
    commands: () => [encode.encodeResourceUnref(2, fenced(1)), encode.encodeResourceUnref(2, fenced(2))],
  },
  {
    name: 'RESOURCE_ATTACH_BACKING',
    commands: (survivor) => [encode.encodeAttachBacking({ resourceId: 6, entries: pages(survivor, 20, 40) })],
  },
  { name: 'RESOURCE_DETACH_BACKING', commands: () => [encode.encodeDetachBacking(1)] },
  { name: 'RESOURCE_DETACH_BACKING of a blob', commands: () => [encode.encodeDetachBacking(4)] },
  {
    name: 'other pages for a blob',
    commands: (survivor) => [
      encode.encodeDetachBacking(4),
      encode.encodeAttachBacking({ resourceId: 4, entries: pages(survivor, 30, 6) }),
    ],
  },
  {
    name: 'SET_SCANOUT and RESOURCE_FLUSH',
    commands: () => [
      encode.encodeSetScanout({ ...BOX, scanoutId: 1, resourceId: 1 }),
      encode.encodeResourceFlush({ ...BOX, resourceId: 1 }),
    ],
  },
  {
    name: 'SET_SCANOUT to nothing',
    commands: () => [encode.encodeSetScanout({ ...BOX, scanoutId: 0, resourceId: 0 })],
  },
  {
    name: 'SET_SCANOUT_BLOB and RESOURCE_FLUSH',
    commands: () => [
      encode.encodeSetScanoutBlob({
        ...BOX,
        scanoutId: 1,
        resourceId: 4,
        fbWidth: 64,
        fbHeight: 64,
        format,
        strides: [256],
        offsets: [0],
      }),
      encode.encodeResourceFlush({ ...BOX, resourceId: 4 }),
    ],
  },
  {
    name: 'TRANSFER_TO_HOST_2D and RESOURCE_FLUSH',
    commands: (survivor) => {
      survivor.host.ram.u8.fill(0x5a, pages(survivor, 0, 1)[0]!.addr - survivor.host.ram.gpa);
      return [
        encode.encodeTransferToHost2d({ ...BOX, resourceId: 1, offset: 0 }, fenced(1)),
        encode.encodeResourceFlush({ ...BOX, resourceId: 1 }, fenced(2)),
      ];
    },
  },
  { name: 'RESOURCE_MAP_BLOB', commands: () => [encode.encodeResourceMapBlob({ resourceId: 3, offset: 4 * PAGE })] },
  {
    name: 'RESOURCE_MAP_BLOB where something is',
    commands: () => [encode.encodeResourceMapBlob({ resourceId: 3, offset: 0 })],
  },
  {
    name: 'RESOURCE_MAP_BLOB twice',
    commands: () => [encode.encodeResourceMapBlob({ resourceId: 2, offset: 8 * PAGE })],
  },
  { name: 'RESOURCE_UNMAP_BLOB', commands: () => [encode.encodeResourceUnmapBlob(2)] },
  { name: 'RESOURCE_UNMAP_BLOB behind a failed map', commands: () => [encode.encodeResourceUnmapBlob(5)] },
  {
    name: 'an unmap, and another blob in its place',
    commands: () => [
      encode.encodeResourceUnmapBlob(2, fenced(1)),
      encode.encodeResourceMapBlob({ resourceId: 3, offset: 0 }, fenced(2)),
    ],
  },
  {
    name: 'a map and an unmap at once',
    commands: () => [
      encode.encodeResourceMapBlob({ resourceId: 3, offset: 4 * PAGE }),
      encode.encodeResourceUnmapBlob(3),
    ],
  },
  {
    name: 'a map, and the end of its resource',
    firstIsMoot: true,
    commands: () => [encode.encodeResourceMapBlob({ resourceId: 3, offset: 4 * PAGE }), encode.encodeResourceUnref(3)],
  },
  { name: 'RESOURCE_ASSIGN_UUID', commands: () => [encode.encodeResourceAssignUuid(6)] },
  {
    name: 'CTX_CREATE',
    commands: () => [encode.encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID, debugName: 'new' }, { ctxId: 9 })],
  },
  { name: 'CTX_DESTROY', commands: () => [encode.encodeCtxDestroy(ctx)] },
  { name: 'CTX_ATTACH_RESOURCE', commands: () => [encode.encodeCtxAttachResource(3, ctx)] },
  { name: 'CTX_DETACH_RESOURCE', commands: () => [encode.encodeCtxDetachResource(2, ctx)] },
  { name: 'SUBMIT_3D', commands: () => [encode.encodeSubmit3d(new Uint8Array(0), { ...ctx, ...fenced(5) })] },
  {
    name: 'UPDATE_CURSOR',
    queue: CURSOR_QUEUE,
    commands: () => [encode.encodeUpdateCursor({ ...CURSOR, scanoutId: 0, resourceId: 1 })],
  },
  {
    name: 'UPDATE_CURSOR to another image',
    queue: CURSOR_QUEUE,
    commands: () => [encode.encodeUpdateCursor({ ...CURSOR, x: 30, resourceId: 6 })],
  },
  {
    name: 'MOVE_CURSOR',
    queue: CURSOR_QUEUE,
    commands: () => [encode.encodeMoveCursor({ ...CURSOR, x: 50, y: 60, resourceId: 1 })],
  },
  {
    name: 'UPDATE_CURSOR to none',
    queue: CURSOR_QUEUE,
    commands: () => [encode.encodeUpdateCursor({ ...CURSOR, resourceId: 0 })],
  },
];

/** A guest with a bit of everything. */
async function begin(packed: boolean): Promise<Survivor> {
  const survivor = new Survivor({ packed });
  const { ram } = survivor.host;
  const own = pages(survivor, 0, 6);
  for (const [index, { addr }] of own.entries()) ram.u8.fill(index + 1, addr - ram.gpa, addr - ram.gpa + PAGE);
  const commands = [
    encode.encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID, debugName: 'old' }, ctx),
    encode.encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID }, { ctxId: 2 }),
    hostBlob(20),
    hostBlob(21),
    encode.encodeResourceCreate2d(PICTURE),
    encode.encodeAttachBacking({ resourceId: 1, entries: own }),
    encode.encodeTransferToHost2d({ ...BOX, resourceId: 1, offset: 0 }),
    encode.encodeSetScanout({ ...BOX, scanoutId: 0, resourceId: 1 }),
    encode.encodeResourceFlush({ ...BOX, resourceId: 1 }),
    hostBlob(2),
    hostBlob(3, 2 * PAGE, 7),
    encode.encodeResourceCreateBlob({
      resourceId: 4,
      blobMem: VIRTIO_GPU_BLOB_MEM_GUEST,
      size: 5 * PAGE,
      entries: own,
    }),
    hostBlob(5, PAGE, 8),
    encode.encodeResourceCreate2d({ ...PICTURE, resourceId: 6 }),
    encode.encodeCtxAttachResource(2, ctx),
    encode.encodeCtxAttachResource(2, { ctxId: 2 }),
    encode.encodeResourceAssignUuid(1),
    encode.encodeResourceMapBlob({ resourceId: 2, offset: 0 }),
  ];
  for (const command of commands)
    expect(await survivor.status(command)).to.be.within(VIRTIO_GPU_RESP_OK_NODATA, 0x11ff);
  expect(await survivor.status(encode.encodeResourceMapBlob({ resourceId: 5, offset: 0 }))).to.be.above(0x11ff);
  await survivor.ask(encode.encodeUpdateCursor({ ...CURSOR, resourceId: 1 }), CURSOR_QUEUE);
  // What is free is now given out in another order than by another process.
  for (const id of [20, 21]) await survivor.ask(encode.encodeResourceUnref(id));
  const { host } = survivor.life.device.resources.get(2)!;
  const text = Buffer.from('what the guest stored');
  sys.fd.pwrite(host!.fd, text, text.length, 0);
  return survivor;
}

/** Takes everything away, and looks whether something is left. */
async function end(survivor: Survivor): Promise<void> {
  for (const id of [1, 2, 3, 4, 5, 6, 10]) await survivor.ask(encode.encodeResourceUnref(id));
  for (const ctxId of [1, 2, 9]) await survivor.ask(encode.encodeCtxDestroy({ ctxId }));
  for (const scanoutId of [0, 1])
    await survivor.ask(encode.encodeUpdateCursor({ ...CURSOR, scanoutId, resourceId: 0 }), CURSOR_QUEUE);
  await survivor.host.turn();
  expect(survivor.life.device.stats).to.include({ resources: 0, contexts: 0, mappings: 0, hostmem: 0, waiting: 0 });
  expect(survivor.life.memory.objects()).to.deep.equal([]);
  expect([...survivor.afterlife.kept.keys()], 'files kept').to.deep.equal([]);
  expect([...survivor.window], 'mappings at the front-end').to.deep.equal([]);
  expect(survivor.records(), 'records').to.equal(0);
}

/** Replies without what is random in them. */
function comparable(replies: readonly string[], { name, firstIsMoot = false }: Case): readonly string[] {
  const wanted = firstIsMoot ? replies.slice(1) : replies;
  return name === 'RESOURCE_ASSIGN_UUID' ? wanted.map((reply) => reply.slice(0, 48)) : wanted;
}

for (const packed of [false, true]) {
  describe(`a GPU whose process is killed (${packed ? 'packed' : 'split'})`, () => {
    let leaks = leakCheck();
    beforeEach(() => {
      leaks = leakCheck();
    });
    afterEach(() => leaks.check());

    it('goes on when the next process is killed too, wherever that is', async () => {
      const commands = (survivor: Survivor) => [
        encode.encodeResourceMapBlob({ resourceId: 3, offset: 4 * PAGE }),
        encode.encodeResourceUnref(2),
        hostBlob(2, 2 * PAGE),
        encode.encodeDetachBacking(4),
        encode.encodeAttachBacking({ resourceId: 4, entries: pages(survivor, 30, 6) }),
      ];
      const whole = await begin(packed);
      const before = whole.steps.taken;
      const wanted = await whole.killedAt(Number.POSITIVE_INFINITY, commands(whole));
      const steps = whole.steps.taken - before;
      const expected = whole.picture();
      whole[Symbol.dispose]();
      let second = 0;
      for (let inTheStart = true; inTheStart; ) {
        using survivor = await begin(packed);
        second++;
        const replies = await survivor.killedAt(1 + ((second * 7) % steps), commands(survivor), 0, second);
        expect(replies).to.deep.equal(wanted);
        expect(survivor.picture()).to.deep.equal(expected);
        await end(survivor);
        inTheStart = survivor.diedInStart;
      }
      expect(second).to.be.above(20);
    }).timeout(60_000);

    for (const one of CASES) {
      const { name, commands, queue = 0 } = one;
      it(`does ${name} once, wherever it ended`, async () => {
        const whole = await begin(packed);
        const before = whole.steps.taken;
        const wanted = comparable(await whole.killedAt(Number.POSITIVE_INFINITY, commands(whole), queue), one);
        const steps = whole.steps.taken - before;
        const expected = whole.picture();
        await end(whole);
        whole[Symbol.dispose]();

        for (let step = 1; step <= steps + 1; step++) {
          const survivor = await begin(packed);
          try {
            const replies = await survivor.killedAt(step, commands(survivor), queue);
            expect(comparable(replies, one), 'the answers').to.deep.equal(wanted);
            expect(survivor.picture()).to.deep.equal(expected);
            survivor.rebirth();
            expect(survivor.picture(), 'behind another kill').to.deep.equal(expected);
            await end(survivor);
          } catch (cause) {
            throw new Error(`killed at step ${step} of ${steps}: ${cause instanceof Error ? cause.message : ''}`, {
              cause,
            });
          } finally {
            survivor[Symbol.dispose]();
          }
        }
      }).timeout(60_000);
    }
  });
}
