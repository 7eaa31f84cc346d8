import { expect } from 'chai';
import fc from 'fast-check';
import { COMMANDS } from '../../src/control/commands.ts';
import { CtrlHdr, VIRTIO_GPU_RESP_OK_NODATA } from '../../src/index.ts';
import { GpuRig } from './rig.ts';

/** Numbers that find limits. */
const word = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 16, 4096, 0x7fffffff, 0x80000000, 0xfffff000, 0xffffffff),
  fc.integer({ min: 0, max: 0xffffffff }),
);
const command = fc.record({
  type: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...COMMANDS.keys()) }, { weight: 1, arbitrary: word }),
  flags: fc.integer({ min: 0, max: 3 }),
  ctxId: fc.integer({ min: 0, max: 2 }),
  ring: fc.integer({ min: 0, max: 255 }),
  body: fc.array(word, { maxLength: 24 }),
  cut: fc.integer({ min: 0, max: 3 }),
  room: fc.constantFrom(0, 23, 24, 40, 512, 2048),
});

describe('random commands', () => {
  it('are all answered, and a reset gives everything back', async function () {
    this.timeout(60_000);
    using rig = new GpuRig({ maxHostmem: 1 << 20, maxResources: 8, maxContexts: 2 });
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 40 }), async (commands) => {
        for (const { type, flags, ctxId, ring, body, cut, room } of commands) {
          const bytes = new Uint8Array(CtrlHdr.byteLength + body.length * 4);
          const view = new DataView(bytes.buffer);
          CtrlHdr.type.set(view, 0, type);
          CtrlHdr.flags.set(view, 0, flags);
          CtrlHdr.ctxId.set(view, 0, ctxId);
          CtrlHdr.ringIdx.set(view, 0, ring);
          for (const [index, value] of body.entries()) view.setUint32(CtrlHdr.byteLength + index * 4, value, true);
          const { written, bytes: reply } = await rig.host.request(
            0,
            [bytes.subarray(0, bytes.length - cut)],
            room === 0 ? [] : [room],
          );
          if (room < CtrlHdr.byteLength) expect(written).to.equal(0);
          else {
            expect(written).to.be.at.least(CtrlHdr.byteLength).and.at.most(room);
            expect(new DataView(reply.buffer).getUint32(0, true)).to.be.at.least(VIRTIO_GPU_RESP_OK_NODATA);
          }
          expect(rig.device.stats.hostmem).to.be.at.most(1 << 20);
          expect(rig.device.stats.resources).to.be.at.most(8);
        }
        expect(rig.device.stats.waiting).to.equal(0);
        rig.host.reset();
        expect(rig.device.stats).to.include({ resources: 0, contexts: 0, mappings: 0, hostmem: 0 });
        expect(rig.memory.objects()).to.deep.equal([]);
        rig.host.start();
      }),
      { numRuns: 150, seed: 3 },
    );
  });
});
