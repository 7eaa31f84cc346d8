import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { imageLayout } from '../src/index.ts';
import { bytesOf, imageCommand, text } from './support/bytes.ts';
import { CrossRig, ERR_INVALID_PARAMETER, ERR_OUT_OF_MEMORY, type GuestProgram, OK, PAGE, sys } from './support/rig.ts';

const fourcc = (name: string) => new DataView(text(name).buffer).getUint32(0, true);

describe('pictures in memory', () => {
  const cases: Record<string, { strides: number[]; offsets: number[]; size: number }> = {
    'R8  ': { strides: [7], offsets: [0], size: 35 },
    RG16: { strides: [14], offsets: [0], size: 70 },
    BG24: { strides: [21], offsets: [0], size: 105 },
    XR24: { strides: [28], offsets: [0], size: 140 },
    XB24: { strides: [28], offsets: [0], size: 140 },
    AR24: { strides: [28], offsets: [0], size: 140 },
    AB24: { strides: [28], offsets: [0], size: 140 },
    XR30: { strides: [28], offsets: [0], size: 140 },
    XB30: { strides: [28], offsets: [0], size: 140 },
    AR30: { strides: [28], offsets: [0], size: 140 },
    AB30: { strides: [28], offsets: [0], size: 140 },
    AB4H: { strides: [56], offsets: [0], size: 280 },
    // 7 x 5: 4 x 3 samples of colour.
    NV12: { strides: [7, 8], offsets: [0, 35], size: 59 },
    YV12: { strides: [7, 4, 4], offsets: [0, 35, 47], size: 59 },
  };
  for (const [name, layout] of Object.entries(cases)) {
    it(`of format ${name} lie without gaps`, () => {
      expect(imageLayout(7, 5, fourcc(name))).to.deep.equal(layout);
    });
  }

  it('cannot be of other formats, empty, or larger than numbers', () => {
    expect(imageLayout(7, 5, fourcc('P010'))).to.equal(null);
    expect(imageLayout(0, 5, fourcc('XR24'))).to.equal(null);
    expect(imageLayout(7, 0, fourcc('XR24'))).to.equal(null);
    expect(imageLayout(0x4000_0000, 1, fourcc('XR24'))).to.equal(null);
    expect(imageLayout(0xffff_ffff, 0xffff_ffff, fourcc('R8  '))).to.equal(null);
    expect(imageLayout(0xffff_ffff, 2, fourcc('YV12'))).to.equal(null);
  });
});

describe('GET_IMAGE_REQUIREMENTS', () => {
  let leaks: LeakCheck;
  let rig: CrossRig;
  let guest: GuestProgram;

  beforeEach(async () => {
    leaks = leakCheck();
    rig = new CrossRig({ limits: { maxBytes: 8 * PAGE, maxBlobs: 3 } });
    guest = await rig.connected();
  });
  afterEach(() => {
    rig[Symbol.dispose]();
    leaks.check();
  });

  it('answers for all planes, with whole pages', async () => {
    expect(await guest.submit(imageCommand(64, 64, 'NV12'))).to.equal(OK);
    const answer = { 0: 64, 4: 64, 20: 4096, 40: 2 * PAGE, 48: 2, 52: 1, 56: 0xffff_ffff, 60: 0xffff_ffff };
    expect(guest.inQuery(64)).to.deep.equal(bytesOf(64, answer));
  });

  it('leaves zeros for what it refuses', async () => {
    await guest.submit(imageCommand(64, 64, 'NV12'));
    for (const refused of [
      imageCommand(64, 64, 'P010'),
      imageCommand(0, 1, 'XR24'),
      imageCommand(9 * PAGE, 1, 'R8  '),
    ]) {
      expect(await guest.submit(refused)).to.equal(ERR_INVALID_PARAMETER);
      expect(guest.inQuery(64)).to.deep.equal(new Uint8Array(64));
    }
  });

  it('gives one id to pictures of one size, since their memory is the same', async () => {
    const ids: number[] = [];
    for (const [width, height] of [
      [64, 64],
      [128, 32],
      [PAGE, 4],
      [PAGE, 5],
    ] as const) {
      await guest.submit(imageCommand(width, height, width > 1000 ? 'R8  ' : 'XR24'));
      ids.push(new DataView(guest.inQuery(64).buffer).getUint32(48, true));
    }
    expect(ids).to.deep.equal([2, 2, 2, 3]);
  });

  it('promises memory, sealed against shrinking, within the limits', async () => {
    await guest.submit(imageCommand(2 * PAGE, 1, 'R8  '));
    expect(await guest.blob(50, 2, PAGE), 'a part of it').to.equal(OK);
    expect(sys.mem.getSeals(rig.device.resources.get(50)!.host!.fd) & 2).to.equal(2);
    expect(await guest.blob(51, 2, 3 * PAGE), 'more than it').to.equal(ERR_INVALID_PARAMETER);
    expect(await guest.blob(52, 3, PAGE), 'nothing promised').to.equal(ERR_INVALID_PARAMETER);
    expect(await guest.blob(53, 2, 2 * PAGE)).to.equal(OK);
    expect(await guest.blob(54, 2, 2 * PAGE)).to.equal(OK);
    expect(await guest.blob(55, 2, 2 * PAGE), 'a fourth blob').to.equal(ERR_OUT_OF_MEMORY);
    expect(rig.type.stats).to.include({ bytes: 6 * PAGE });
  });

  it('counts the memory of blobs as long as they live, beyond their program', async () => {
    await guest.submit(imageCommand(4 * PAGE, 1, 'R8  '));
    expect(await guest.blob(50, 2, 4 * PAGE)).to.equal(OK);
    expect(await guest.blob(51, 2, 4 * PAGE)).to.equal(OK);
    expect(await guest.blob(52, 2, 4 * PAGE), 'too many bytes').to.equal(ERR_OUT_OF_MEMORY);
    await guest.destroy();
    expect(rig.type.stats).to.include({ bytes: 8 * PAGE });
    rig.host.reset();
    expect(rig.type.stats).to.include({ bytes: 0, fds: 0 });
    rig.host.start();
  });
});
