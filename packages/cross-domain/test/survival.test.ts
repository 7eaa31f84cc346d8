/** What a guest program sees when the process behind its socket is killed and another one goes on. */
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { imageCommand, pollCommand, receiveBytes, sendCommand, text } from './support/bytes.ts';
import { CrossRig, ERR_INVALID_PARAMETER, OK, PAGE } from './support/rig.ts';

const HEAD = 352;
const NOTHING = new Uint8Array(0);
const BLOB = 7;
/** Where the reply of GET_IMAGE_REQUIREMENTS has the blob id and the size. */
const BLOB_ID = 48;

describe('a connection whose process is killed', () => {
  let leaks: LeakCheck;
  let rig: CrossRig;

  beforeEach(() => {
    leaks = leakCheck();
    rig = new CrossRig({ survive: true });
  });
  afterEach(() => {
    rig[Symbol.dispose]();
    leaks.check();
  });

  it('ends, and says so to the poll that waited, once', async () => {
    const guest = await rig.connected();
    const peer = rig.wayland.accept()!;
    const waiting = guest.poll();
    await rig.settle();
    rig.kill();
    expect(await guest.event(waiting, HEAD)).to.deep.equal(receiveBytes(NOTHING));
    expect(peer.hear()?.data).to.deep.equal(NOTHING);
    const another = guest.poll();
    await rig.settle();
    expect(rig.answered(another)).to.equal(false);
    expect(await guest.submit(sendCommand(text('to nobody')))).to.equal(OK);
    await guest.destroy();
    expect((await rig.answer(another)).type).to.equal(OK);
  });

  it('ends for the poll that comes later', async () => {
    const guest = await rig.connected();
    rig.kill();
    expect(await guest.next(HEAD)).to.deep.equal(receiveBytes(NOTHING));
    expect(await guest.submit(guest.initCommand(20, 1))).to.equal(ERR_INVALID_PARAMETER);
    rig.kill();
    expect(await guest.submit(guest.initCommand(20, 1))).to.equal(ERR_INVALID_PARAMETER);
  });

  it('leaves another program what it has not begun', async () => {
    const guest = await rig.program();
    rig.kill();
    expect(await guest.submit(guest.initCommand(20, 1))).to.equal(OK);
    const peer = rig.wayland.accept()!;
    peer.tell(text('hello'));
    expect(await guest.next(HEAD + 5)).to.deep.equal(receiveBytes(text('hello')));
  });

  it('leaves its pictures with their bytes, and makes more', async () => {
    const guest = await rig.connected();
    expect(await guest.submit(imageCommand(16, 16, 'XR24'))).to.equal(OK);
    const view = new DataView(guest.inQuery(64).buffer);
    expect(await guest.blob(BLOB, view.getUint32(BLOB_ID, true))).to.equal(OK);
    const before = rig.device.resources.get(BLOB)!.host!;
    rig.sys.fd.pwrite(before.fd, text('picture'), 7, 0);
    rig.kill();
    const bytes = new Uint8Array(7);
    rig.sys.fd.pread(rig.device.resources.get(BLOB)!.host!.fd, bytes, 7, 0);
    expect(bytes).to.deep.equal(text('picture'));
    expect(await guest.submit(imageCommand(32, 32, 'XR24'))).to.equal(OK);
    expect(await guest.submit(pollCommand)).to.equal(OK);
    expect(rig.device.resources.get(BLOB)!.host!.size).to.be.at.least(1024).and.at.most(PAGE);
  });
});
