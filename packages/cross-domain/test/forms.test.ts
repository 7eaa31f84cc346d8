/** The forms in which sommelier, wayland-proxy-virtwl, muvm and rutabaga's guests speak, byte by byte. */
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { CROSS_DOMAIN_CHANNEL_TYPE_PIPEWIRE, PathDoor } from '../src/index.ts';
import {
  bytesOf,
  command,
  imageCommand,
  pollCommand,
  receiveBytes,
  sendCommand,
  text,
  textOf,
} from './support/bytes.ts';
import { makeFile } from './support/fake-host.ts';
import { CrossRig, ERR_INVALID_PARAMETER, ERR_INVALID_RESOURCE_ID, ERR_UNSPEC, OK, PAGE, sys } from './support/rig.ts';

const WAYLAND = 1;
const BLOB = 1;
/** GBM_BO_USE_LINEAR | GBM_BO_USE_SCANOUT, as wayland-proxy-virtwl asks. */
const LINEAR_SCANOUT = (1 << 4) | 1;

/** strides @0, offsets @16, modifier @32, size @40, blob_id @48, map_info @52, memory_idx @56, physical_device_idx @60. */
function requirements(stride: number, size: number, blobId: number): Uint8Array {
  return bytesOf(64, { 0: stride, 40: size, 48: blobId, 52: 1, 56: 0xffff_ffff, 60: 0xffff_ffff });
}

describe('the forms of the protocol', () => {
  let leaks: LeakCheck;
  let rig: CrossRig;

  beforeEach(() => {
    leaks = leakCheck();
    rig = new CrossRig();
  });
  afterEach(() => {
    rig[Symbol.dispose]();
    leaks.check();
  });

  it('tells of its channels in 16 bytes', () => {
    expect([...rig.type.capset]).to.deep.equal([...bytesOf(16, { 0: 1, 4: 1 << WAYLAND })]);
    expect(rig.type).to.include({ capsetId: 5, maxVersion: 0 });
  });

  it('talks with sommelier before 2023: INIT of 16 bytes, one ring, four identifiers', async () => {
    const guest = await rig.program();
    expect(await guest.submit(guest.initCommand(16, WAYLAND))).to.equal(OK);
    const peer = rig.wayland.accept()!;
    const poll = guest.poll();
    expect(await guest.submit(imageCommand(640, 480, 'XR24'))).to.equal(OK);
    expect(guest.inQuery(64)).to.deep.equal(requirements(640 * 4, 640 * 480 * 4, 2));
    expect(await guest.blob(50, 2, 640 * 480 * 4)).to.equal(OK);
    expect(await guest.submit(sendCommand(text('create_pool'), [{ id: 50, type: BLOB }], 4))).to.equal(OK);
    const heard = peer.hear()!;
    expect(textOf(heard.data)).to.equal('create_pool');
    expect(heard.fds).to.have.length(1);
    peer.tell(text('hello'));
    expect((await rig.answer(poll)).type).to.equal(OK);
    // One ring for both.
    expect(guest.inQuery(64 + 5)).to.deep.equal(receiveBytes(text('hello'), [], 4));
  });

  it('talks with sommelier of today and wayland-proxy-virtwl: INIT of 20 bytes, two rings, 28 identifiers', async () => {
    const guest = await rig.program();
    expect(await guest.submit(guest.initCommand(20, WAYLAND))).to.equal(OK);
    const peer = rig.wayland.accept()!;
    const poll = guest.poll();
    // Does it have dma-bufs? Then a pool as a picture of bytes.
    expect(await guest.submit(imageCommand(1, 1, 'XR24', LINEAR_SCANOUT))).to.equal(OK);
    expect(guest.inQuery(64)).to.deep.equal(requirements(4, PAGE, 2));
    expect(await guest.submit(imageCommand(5000, 1, 'R8  ', LINEAR_SCANOUT))).to.equal(OK);
    expect(guest.inQuery(64)).to.deep.equal(requirements(5000, 2 * PAGE, 3));
    expect(await guest.blob(50, 3, 2 * PAGE)).to.equal(OK);
    expect(await guest.submit(sendCommand(text('pool'), [{ id: 50, type: BLOB }]))).to.equal(OK);
    const heard = peer.hear()!;
    expect(textOf(heard.data)).to.equal('pool');
    expect(heard.fds).to.have.length(1);
    using keymap = makeFile(sys, text('xkb_keymap'), 5000);
    peer.tell(text('keymap'), [keymap]);
    const message = receiveBytes(text('keymap'), [{ id: 4, type: BLOB, size: 5000 }]);
    expect(await guest.event(poll, message.length)).to.deep.equal(message);
    // The first word is the command alone.
    expect([...message.subarray(0, 8)]).to.deep.equal([5, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('talks with muvm: INIT of 24 bytes', async () => {
    const guest = await rig.program();
    expect(await guest.submit(guest.initCommand(24, WAYLAND, { 20: 1 }))).to.equal(OK);
    const peer = rig.wayland.accept()!;
    const poll = guest.poll();
    expect(await guest.submit(sendCommand(text('to')))).to.equal(OK);
    expect(textOf(peer.hear()!.data)).to.equal('to');
    peer.tell(text('from'));
    expect(await guest.event(poll, 356)).to.deep.equal(receiveBytes(text('from')));
  });

  it('talks with the newest programs of rutabaga: INIT of 36 bytes', async () => {
    const guest = await rig.program();
    expect(await guest.submit(guest.initCommand(36, WAYLAND, { 20: 1, 24: 2, 28: 3, 32: 4 }))).to.equal(OK);
    const peer = rig.wayland.accept()!;
    peer.tell(text('early'));
    expect(await guest.next(357)).to.deep.equal(receiveBytes(text('early')));
  });

  it('gives memory to a program without a channel', async () => {
    const guest = await rig.program();
    expect(await guest.submit(guest.initCommand(20, 0))).to.equal(OK);
    expect(rig.wayland.accept()).to.equal(null);
    expect(await guest.submit(imageCommand(16, 16, 'AR24'))).to.equal(OK);
    expect(await guest.blob(50, 2)).to.equal(OK);
    expect(await guest.blob(51, 2), 'a template stays').to.equal(OK);
    expect(await guest.submit(sendCommand(text('whither')))).to.equal(ERR_INVALID_PARAMETER);
  });

  it('takes several commands of one submit, up to the first wrong one', async () => {
    const guest = await rig.program();
    const both = Uint8Array.from([...guest.initCommand(20, WAYLAND), ...pollCommand, ...sendCommand(text('a'))]);
    expect(await guest.submit(both)).to.equal(OK);
    const peer = rig.wayland.accept()!;
    expect(textOf(peer.hear()!.data)).to.equal('a');
    const wrong = Uint8Array.from([...sendCommand(text('b')), ...command(99, 8), ...sendCommand(text('c'))]);
    expect(await guest.submit(wrong)).to.equal(ERR_UNSPEC);
    expect(textOf(peer.hear()!.data)).to.equal('b');
    expect(peer.hear()).to.equal(null);
    expect(await guest.submit(new Uint8Array(0))).to.equal(OK);
  });

  it('takes INIT once, with rings that are there', async () => {
    const guest = await rig.program();
    for (const size of [12, 17, 21, 28, 32, 40]) {
      const bytes = guest.initCommand(40, WAYLAND).slice(0, size);
      new DataView(bytes.buffer).setUint16(2, size, true);
      expect(await guest.submit(bytes), `${size} bytes`).to.equal(ERR_INVALID_PARAMETER);
    }
    const elsewhere = command(1, 20, { 8: guest.queryId, 12: 999, 16: WAYLAND });
    expect(await guest.submit(elsewhere)).to.equal(ERR_INVALID_RESOURCE_ID);
    expect(await guest.submit(guest.initCommand(20, WAYLAND))).to.equal(OK);
    expect(await guest.submit(guest.initCommand(20, WAYLAND))).to.equal(ERR_INVALID_PARAMETER);
    expect(rig.wayland.accept()).not.to.equal(null);
    expect(rig.wayland.accept()).to.equal(null);
  });

  it('leads nowhere but to the channels that were named', async () => {
    for (const [ctxId, type] of [2, 0x10, 0x11, 31, 32, 0xffff_ffff].entries()) {
      const guest = await rig.program(ctxId + 1);
      const poll = guest.poll();
      expect(await guest.submit(guest.initCommand(20, type)), `channel ${type}`).to.equal(ERR_UNSPEC);
      // The program hears of it by an end of the connection.
      expect(await guest.event(poll, 352)).to.deep.equal(receiveBytes(new Uint8Array(0)));
    }
    expect(rig.wayland.accept()).to.equal(null);
    expect(rig.warnings.join()).to.include('channel type 17 leads nowhere');
  });

  it('keeps channels apart', async () => {
    const other = new CrossRig();
    rig[Symbol.dispose]();
    rig = new CrossRig({ channels: [{ type: CROSS_DOMAIN_CHANNEL_TYPE_PIPEWIRE, door: new PathDoor(other.path) }] });
    const guest = await rig.connected(1, 1, CROSS_DOMAIN_CHANNEL_TYPE_PIPEWIRE);
    expect(other.wayland.accept()).not.to.equal(null);
    expect([...rig.type.capset.subarray(4, 8)]).to.deep.equal([0, 0, 1, 0]);
    await guest.destroy();
    other[Symbol.dispose]();
  });
});
