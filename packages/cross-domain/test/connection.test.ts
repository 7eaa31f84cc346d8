import { encodeCtxDestroy, encodeCtxDetachResource } from '@oriel/gpu-blob/testing';
import { EAGAIN } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { command, imageCommand, receiveBytes, sendCommand, text, textOf } from './support/bytes.ts';
import type { HostClient } from './support/fake-host.ts';
import { makeFile } from './support/fake-host.ts';
import {
  CrossRig,
  ERR_INVALID_PARAMETER,
  ERR_INVALID_RESOURCE_ID,
  ERR_UNSPEC,
  type GuestProgram,
  OK,
  PAGE,
  sys,
} from './support/rig.ts';

const BLOB = 1;
const NOTHING = new Uint8Array(0);
const HEAD = 352;
/** Most data of a RECEIVE: guests copy it into 4096 bytes. */
const MOST = 4096 - HEAD;

describe('a connection', () => {
  let leaks: LeakCheck;
  let rig: CrossRig;
  let guest: GuestProgram;
  let peer: HostClient;

  beforeEach(async () => {
    leaks = leakCheck();
    rig = new CrossRig({ limits: { maxQueuedBytes: 1 << 20 } });
    guest = await rig.connected();
    peer = rig.wayland.accept()!;
  });
  afterEach(() => {
    rig[Symbol.dispose]();
    leaks.check();
  });

  it('reaches one fence for one message, in order', async () => {
    const polls = [guest.poll(), guest.poll(), guest.poll()];
    await rig.settle();
    expect(polls.map((head) => rig.answered(head))).to.deep.equal([false, false, false]);
    peer.tell(text('one'));
    expect(await guest.event(polls[0]!, HEAD + 3)).to.deep.equal(receiveBytes(text('one')));
    await rig.settle();
    expect(rig.answered(polls[1]!)).to.equal(false);
    peer.tell(text('two'));
    expect(await guest.event(polls[1]!, HEAD + 3)).to.deep.equal(receiveBytes(text('two')));
    expect(rig.answered(polls[2]!)).to.equal(false);
  });

  it('waits for a fence also where no POLL command came with it', async () => {
    const waiting = guest.send(NOTHING, 1);
    await rig.settle();
    expect(rig.answered(waiting)).to.equal(false);
    peer.tell(text('x'));
    expect((await rig.answer(waiting)).type).to.equal(OK);
  });

  it('reaches fences of the query ring at once, and of rings that are none', async () => {
    const poll = guest.poll();
    expect(await guest.submit(imageCommand(1, 1, 'XR24'))).to.equal(OK);
    expect((await rig.answer(guest.send(NOTHING, 7))).type).to.equal(OK);
    expect(rig.answered(poll)).to.equal(false);
  });

  it('leaves in the socket what nobody asks for', async () => {
    await rig.settle();
    let told = 0;
    const piece = new Uint8Array(4096);
    while (sys.socket.sendmsg(peer.socket.fd, piece, piece.length, null, 0) !== -EAGAIN) told += piece.length;
    await rig.settle();
    expect(sys.socket.sendmsg(peer.socket.fd, piece, piece.length, null, 0)).to.equal(-EAGAIN);
    let heard = 0;
    while (heard < told) {
      const message = await guest.next(16);
      const size = new DataView(message.buffer).getUint32(12, true);
      expect(size).to.be.within(1, MOST);
      heard += size;
    }
    expect(heard).to.equal(told);
  });

  it('cuts a long message into what guests can copy', async () => {
    const long = Uint8Array.from({ length: 10_000 }, (_, index) => index % 251);
    peer.tell(long);
    const parts: Uint8Array[] = [];
    for (const size of [MOST, MOST, 10_000 - 2 * MOST]) {
      const at = parts.length * MOST;
      expect(await guest.next(HEAD + size)).to.deep.equal(receiveBytes(long.subarray(at, at + size)));
      parts.push(long);
    }
  });

  it('brings descriptors in the order in which they came', async () => {
    using one = makeFile(sys, text('1'), 10);
    using two = makeFile(sys, text('2'), PAGE);
    peer.tell(text('ab'), [one, two]);
    peer.tell(text('c'), [two]);
    const ids = [
      { id: 2, type: BLOB, size: 10 },
      { id: 3, type: BLOB, size: PAGE },
    ];
    expect(await guest.next(HEAD + 2)).to.deep.equal(receiveBytes(text('ab'), ids));
    expect(await guest.next(HEAD + 1)).to.deep.equal(receiveBytes(text('c'), [{ id: 4, type: BLOB, size: PAGE }]));
  });

  it('brings more than four descriptors to a program that takes four at a time', async () => {
    await guest.submit(sendCommand(text('old'), [], 4));
    const files = Array.from({ length: 9 }, (_, index) => makeFile(sys, text('f'), index + 1));
    const data = text('0123456789');
    peer.tell(data, files);
    const ids = files.map((_, index) => ({ id: index + 2, type: BLOB, size: index + 1 }));
    const receive = (bytes: Uint8Array, from: number, to: number) => receiveBytes(bytes, ids.slice(from, to), 4);
    expect(await guest.next(65)).to.deep.equal(receive(data.subarray(0, 1), 0, 4));
    expect(await guest.next(65)).to.deep.equal(receive(data.subarray(1, 2), 4, 8));
    expect(await guest.next(64 + 8)).to.deep.equal(receive(data.subarray(2), 8, 9));
    for (const file of files) file.close();
  });

  it('keeps what is left of a message when the program changes its form', async () => {
    await guest.submit(sendCommand(text('old'), [], 4));
    using file = makeFile(sys, text('f'), 1);
    const data = new Uint8Array(4032).fill(7);
    peer.tell(data, new Array(5).fill(file));
    await guest.next(65);
    await guest.submit(sendCommand(text('new')));
    const second = receiveBytes(data.subarray(0, MOST), [{ id: 6, type: BLOB, size: 1 }]);
    expect(await guest.next(HEAD + MOST)).to.deep.equal(second);
    const rest = data.subarray(1 + MOST);
    expect(await guest.next(HEAD + rest.length)).to.deep.equal(receiveBytes(rest));
  });

  it('sends all of a long stream to a host program that reads late, and its descriptors', async () => {
    await guest.submit(imageCommand(1, 1, 'XR24'));
    await guest.blob(50, 2);
    const sent: number[] = [];
    for (let index = 0; index < 150; index++) {
      const data = new Uint8Array(3744).fill(index);
      sent.push(...data);
      expect(await guest.submit(sendCommand(data, [{ id: 50, type: BLOB }]))).to.equal(OK);
    }
    const heard: number[] = [];
    let fds = 0;
    await rig.host.until(() => {
      const message = peer.hear();
      heard.push(...(message?.data ?? []));
      fds += message?.fds.length ?? 0;
      return heard.length >= sent.length;
    });
    expect(heard).to.deep.equal(sent);
    expect(fds).to.equal(150);
  });

  it('ends for a host program that never reads, and tells the guest', async () => {
    const data = new Uint8Array(60_000);
    for (let index = 0; index < 30; index++) expect(await guest.submit(sendCommand(data))).to.equal(OK);
    expect(await guest.next(HEAD)).to.deep.equal(receiveBytes(NOTHING));
    expect(rig.warnings.join()).to.include('stalled');
    expect(await guest.submit(sendCommand(text('late')))).to.equal(OK);
  });

  it('lets a program wait a little for room, and no other', async () => {
    const other = await rig.connected(2);
    const data = new Uint8Array(60_000);
    const pending: number[] = [];
    for (let index = 0; index < 16; index++) pending.push(guest.send(sendCommand(data), 0));
    await rig.settle();
    expect(rig.answered(pending.at(-1)!)).to.equal(false);
    expect(await other.submit(sendCommand(text('meanwhile')))).to.equal(OK);
    for (const head of pending) expect((await rig.answer(head)).type).to.equal(OK);
  });

  it('tells once that the host program is gone, after all that it said', async () => {
    peer.tell(text('bye'));
    peer.shutdown();
    await guest.submit(sendCommand(text('too late')));
    expect(await guest.next(HEAD + 3)).to.deep.equal(receiveBytes(text('bye')));
    expect(await guest.next(HEAD)).to.deep.equal(receiveBytes(NOTHING));
    const more = guest.poll();
    await rig.settle();
    expect(rig.answered(more)).to.equal(false);
    await guest.destroy();
    expect((await rig.answer(more)).type).to.equal(OK);
  });

  it('is refused while nobody listens, and there again afterwards', async () => {
    rig.wayland.die();
    expect(await guest.next(HEAD)).to.deep.equal(receiveBytes(NOTHING));
    const early = await rig.program(2);
    expect(await early.submit(early.initCommand(20, 1))).to.equal(ERR_UNSPEC);
    expect(await early.next(HEAD)).to.deep.equal(receiveBytes(NOTHING));
    rig.wayland.listen();
    const late = await rig.connected(3);
    await late.submit(sendCommand(text('hello')));
    expect(textOf(rig.wayland.accept()!.hear()!.data)).to.equal('hello');
  });

  it('waits where the backlog is full, and keeps what it has to say', async () => {
    rig.wayland.die();
    rig.wayland.listen(0);
    const guests: GuestProgram[] = [];
    for (let ctxId = 2; ctxId < 6; ctxId++) {
      guests.push(await rig.connected(ctxId));
      expect(await guests.at(-1)!.submit(sendCommand(text(`I am ${ctxId}`)))).to.equal(OK);
    }
    const heard: string[] = [];
    await guests[3]!.destroy();
    await rig.host.until(() => {
      const message = rig.wayland.accept()?.hear() ?? null;
      if (message !== null) heard.push(textOf(message.data));
      return heard.length === 3;
    });
    expect(heard).to.deep.equal(['I am 2', 'I am 3', 'I am 4']);
  });

  it('writes no guest page while the VM stands still', async () => {
    const poll = guest.poll();
    await rig.settle();
    const before = guest.inChannel(PAGE);
    rig.host.pause();
    peer.tell(text('late'));
    await rig.settle();
    expect(guest.inChannel(PAGE)).to.deep.equal(before);
    rig.host.start();
    expect(await guest.event(poll, HEAD + 4)).to.deep.equal(receiveBytes(text('late')));
  });

  it('lets a program go that waits', async () => {
    const polls = [guest.poll(), guest.poll()];
    const destroy = rig.send(encodeCtxDestroy({ ctxId: 1 }));
    for (const head of [...polls, destroy]) expect((await rig.answer(head)).type).to.equal(OK);
    expect(peer.hear()!.data).to.have.length(0);
  });

  it('ends when the guest takes its ring away', async () => {
    const poll = guest.poll();
    await rig.status(encodeCtxDetachResource(guest.channelId, { ctxId: 1 }));
    peer.tell(text('x'));
    expect((await rig.answer(poll)).type).to.equal(OK);
    expect(() => peer.hear(), 'its end, with a message unread').to.throw('ECONNRESET');
    expect(await guest.submit(imageCommand(1, 1, 'XR24'))).to.equal(OK);
    await rig.status(encodeCtxDetachResource(guest.queryId, { ctxId: 1 }));
    expect(await guest.submit(imageCommand(1, 1, 'XR24'))).to.equal(ERR_INVALID_RESOURCE_ID);
  });

  it('takes no message that lies about itself', async () => {
    const longer = sendCommand(text('abcd'));
    new DataView(longer.buffer).setUint32(12, 5, true);
    const many = sendCommand(text('abcd'));
    new DataView(many.buffer).setUint32(8, 29, true);
    const short = command(4, 63, {});
    const bare = sendCommand(NOTHING, [{ id: 50, type: BLOB }]);
    for (const wrong of [longer, many, short, bare]) expect(await guest.submit(wrong)).to.equal(ERR_INVALID_PARAMETER);
    expect(peer.hear()).to.equal(null);
    for (const [size, status] of [
      [0, ERR_INVALID_PARAMETER],
      [7, ERR_INVALID_PARAMETER],
      [60_000, ERR_INVALID_PARAMETER],
    ]) {
      const lie = sendCommand(text('abcd'));
      new DataView(lie.buffer).setUint16(2, size!, true);
      expect(await guest.submit(lie)).to.equal(status);
    }
    expect(await guest.submit(sendCommand(text('x'), [{ id: guest.queryId, type: BLOB }])), 'guest pages').to.equal(
      ERR_INVALID_RESOURCE_ID,
    );
    expect(await guest.submit(sendCommand(text('x'), [{ id: 5, type: 2 }])), 'a sync').to.equal(ERR_INVALID_PARAMETER);
    expect(peer.hear()).to.equal(null);
  });
});
