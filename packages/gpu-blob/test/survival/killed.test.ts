/** A device that is killed at any step of a command, and another one that goes on. */
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  CURSOR_QUEUE,
  MEMORY_CAPSET_ID,
  VIRTIO_GPU_BLOB_MEM_GUEST,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/index.ts';
import * as encode from '../../src/testing/index.ts';
import { PAGE, sys } from '../device/rig.ts';
import { BOX, CASES, type Case, CURSOR, ctx, hostBlob, PICTURE, pages } from './killed-cases.ts';
import { Survivor } from './survivor.ts';

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
