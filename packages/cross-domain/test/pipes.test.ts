/** Clipboards: data that goes through pipes, both ways. */
import { EAGAIN, type Fd } from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { readBytes, receiveBytes, sendCommand, text, textOf, writeCommand } from './support/bytes.ts';
import { type HostClient, makePipe } from './support/fake-host.ts';
import { CrossRig, ERR_INVALID_PARAMETER, ERR_OUT_OF_MEMORY, type GuestProgram, OK, PAGE, sys } from './support/rig.ts';

const HEAD = 352;
const READ_PIPE = 3;
const WRITE_PIPE = 4;
const FIRST_PIPE = 0x8000_0001;
const NOTHING = new Uint8Array(0);
const MIB = 1 << 20;

/** Bytes that do not repeat soon. */
function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0, state = 1; at < length; at++) {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

describe('pipes', () => {
  let leaks: LeakCheck;
  let rig: CrossRig;
  let guest: GuestProgram;
  let peer: HostClient;

  beforeEach(async () => {
    leaks = leakCheck();
    rig = new CrossRig({ limits: { maxFds: 8, maxQueuedBytes: 32 * MIB } });
    guest = await rig.connected(1, 16);
    peer = rig.wayland.accept()!;
  });
  afterEach(() => {
    rig[Symbol.dispose]();
    leaks.check();
  });

  /** The guest asks for a paste. @returns the end that the host program writes to */
  const paste = async (id = FIRST_PIPE): Promise<Fd> => {
    expect(await guest.submit(sendCommand(text('receive'), [{ id, type: READ_PIPE }]))).to.equal(OK);
    const heard = peer.hear()!;
    expect(textOf(heard.data)).to.equal('receive');
    return heard.fds[0]!;
  };
  /** A host program asks for a copy. @returns the end that it reads; the guest's is number 2 */
  const copy = async (id = 2): Promise<Fd> => {
    const { reader, writer } = makePipe(sys);
    peer.tell(text('send'), [writer]);
    writer.close();
    expect(await guest.next(HEAD + 4)).to.deep.equal(receiveBytes(text('send'), [{ id, type: WRITE_PIPE }]));
    return reader;
  };
  const readAll = (fd: Fd): Uint8Array => {
    const piece = new Uint8Array(65536);
    const got = sys.fd.read(fd.fd, piece, piece.length);
    return got === -EAGAIN ? NOTHING : piece.slice(0, Math.max(0, got));
  };
  const isOver = (fd: Fd) => sys.fd.read(fd.fd, new Uint8Array(1), 1) === 0;

  it('bring what a host program writes, and its end', async () => {
    const writer = await paste();
    sys.fd.write(writer.fd, text('hello'), 5);
    expect(await guest.next(29)).to.deep.equal(readBytes(FIRST_PIPE, text('hello')));
    sys.fd.write(writer.fd, text('bye'), 3);
    writer.close();
    expect(await guest.next(27)).to.deep.equal(readBytes(FIRST_PIPE, text('bye')));
    expect(await guest.next(24)).to.deep.equal(readBytes(FIRST_PIPE, NOTHING, 1));
    // The number is free again.
    expect(rig.type.stats.fds).to.equal(1);
    (await paste()).close();
    expect(await guest.next(24)).to.deep.equal(readBytes(FIRST_PIPE, NOTHING, 1));
  });

  it('have any number that is not in use', async () => {
    await paste(5);
    const again = sendCommand(text('x'), [{ id: 5, type: READ_PIPE }]);
    expect(await guest.submit(again)).to.equal(ERR_INVALID_PARAMETER);
    await paste(FIRST_PIPE + 1);
    expect(peer.hear()).to.equal(null);
  });

  it('wait for their turn among each other', async () => {
    const one = await paste(FIRST_PIPE);
    const two = await paste(FIRST_PIPE + 1);
    sys.fd.write(one.fd, new Uint8Array(65536), 65536);
    sys.fd.write(two.fd, text('two'), 3);
    peer.tell(text('event'));
    await rig.settle();
    const kinds: number[] = [];
    for (let index = 0; index < 4; index++) {
      const view = new DataView((await guest.next(24)).buffer);
      kinds.push(view.getUint8(0) === 5 ? 5 : view.getUint32(8, true) - FIRST_PIPE);
    }
    expect(kinds.slice(0, 3)).to.have.members([0, 1, 5]);
    expect(kinds[3]).to.equal(0);
  });

  it('are not made beyond the limit, nor left behind by a SEND that fails', async () => {
    const ids = Array.from({ length: 8 }, (_, index) => ({ id: FIRST_PIPE + index, type: READ_PIPE }));
    expect(await guest.submit(sendCommand(text('x'), ids))).to.equal(ERR_OUT_OF_MEMORY);
    expect(rig.type.stats.fds).to.equal(1);
    expect(await guest.submit(sendCommand(text('x'), ids.slice(0, 7)))).to.equal(OK);
    expect(peer.hear()!.fds).to.have.length(7);
  });

  it('take 10 MiB from the host intact', async () => {
    const payload = noise(10 * MIB);
    const writer = await paste();
    sys.fd.setNonBlocking(writer.fd, true);
    const parts: Uint8Array[] = [];
    let written = 0;
    const feed = () => {
      while (written < payload.length) {
        const piece = payload.subarray(written, written + 65536);
        const size = sys.fd.write(writer.fd, piece, piece.length);
        if (size < 0) return;
        written += size;
      }
      if (!writer.closed) writer.close();
    };
    for (let hangUp = 0; hangUp === 0; ) {
      feed();
      const message = await guest.next(16 * PAGE);
      const view = new DataView(message.buffer);
      hangUp = view.getUint32(12, true);
      parts.push(message.slice(24, 24 + view.getUint32(16, true)));
    }
    expect(Buffer.compare(Buffer.concat(parts), payload)).to.equal(0);
  });

  it('take 10 MiB to a host program that reads late, while others go on', async () => {
    const payload = noise(10 * MIB);
    const reader = await copy();
    const other = await rig.connected(2);
    for (let at = 0; at < payload.length; at += 60_000) {
      const piece = payload.subarray(at, at + 60_000);
      expect(await guest.submit(writeCommand(2, piece, at + 60_000 >= payload.length ? 1 : 0))).to.equal(OK);
    }
    expect(await other.submit(sendCommand(text('meanwhile')))).to.equal(OK);
    const parts: Uint8Array[] = [];
    let got = 0;
    await rig.host.until(() => {
      const part = readAll(reader);
      parts.push(part);
      got += part.length;
      return got === payload.length;
    });
    expect(Buffer.compare(Buffer.concat(parts), payload)).to.equal(0);
    await rig.host.until(() => isOver(reader));
    expect(rig.type.stats).to.include({ bytes: 0, fds: 2, lingering: 0 });
    reader.close();
  });

  it('end by a WRITE of nothing with a hang-up', async () => {
    const reader = await copy();
    expect(await guest.submit(writeCommand(2, text('all')))).to.equal(OK);
    expect(await guest.submit(writeCommand(2, NOTHING, 1))).to.equal(OK);
    expect(textOf(readAll(reader))).to.equal('all');
    expect(isOver(reader)).to.equal(true);
    expect(await guest.submit(writeCommand(2, text('more'))), 'gone').to.equal(ERR_INVALID_PARAMETER);
    reader.close();
  });

  it('deliver what a program wrote before it ended', async () => {
    const reader = await copy();
    const payload = noise(MIB);
    for (let at = 0; at < MIB; at += 32768) {
      await guest.submit(writeCommand(2, payload.subarray(at, at + 32768), at + 32768 === MIB ? 1 : 0));
    }
    await guest.destroy();
    expect(rig.type.stats.lingering).to.equal(1);
    const parts: Uint8Array[] = [];
    await rig.host.until(() => {
      parts.push(readAll(reader));
      return rig.type.stats.lingering === 0;
    });
    parts.push(readAll(reader), readAll(reader));
    expect(Buffer.compare(Buffer.concat(parts), payload)).to.equal(0);
    reader.close();
  });

  it('are given up when their program has ended and nobody reads for half a minute', async () => {
    let ahead = 0;
    rig[Symbol.dispose]();
    rig = new CrossRig({ sys: mockSys({ loop: { nowNs: () => sys.loop.nowNs() + ahead } }) });
    guest = await rig.connected();
    peer = rig.wayland.accept()!;
    const reader = await copy();
    for (let index = 0; index < 4; index++)
      await guest.submit(writeCommand(2, new Uint8Array(60_000), index === 3 ? 1 : 0));
    await guest.destroy();
    ahead += 20e9;
    await rig.settle();
    expect(readAll(reader)).to.have.length.above(60_000);
    await rig.settle();
    ahead += 20e9;
    await rig.settle();
    expect(rig.type.stats.lingering, 'some was read meanwhile').to.equal(1);
    ahead += 30e9;
    await rig.host.until(() => rig.type.stats.lingering === 0);
    expect(rig.type.stats).to.deep.equal({ fds: 0, bytes: 0, lingering: 0 });
    reader.close();
  });

  it('drop what nobody reads any more', async () => {
    (await copy()).close();
    for (let index = 0; index < 3; index++) expect(await guest.submit(writeCommand(2, text('x')))).to.equal(OK);
    expect(rig.type.stats.fds).to.equal(1);
    expect(await guest.submit(writeCommand(2, NOTHING, 1))).to.equal(OK);
  });

  it('break where a host program never reads, and nothing else does', async () => {
    rig[Symbol.dispose]();
    rig = new CrossRig({ limits: { maxQueuedBytes: 256 * 1024 } });
    guest = await rig.connected();
    peer = rig.wayland.accept()!;
    const reader = await copy();
    for (let index = 0; index < 10; index++) {
      expect(await guest.submit(writeCommand(2, new Uint8Array(60_000)))).to.equal(OK);
    }
    expect(rig.warnings.join()).to.include('a pipe is broken');
    expect(rig.type.stats).to.include({ bytes: 0, fds: 1 });
    peer.tell(text('on'));
    expect(await guest.next(HEAD + 2)).to.deep.equal(receiveBytes(text('on')));
    reader.close();
  });

  it('take no WRITE that lies about itself', async () => {
    const reader = await copy();
    const lie = writeCommand(2, text('abc'));
    new DataView(lie.buffer).setUint32(16, 4, true);
    expect(await guest.submit(lie)).to.equal(ERR_INVALID_PARAMETER);
    expect(await guest.submit(writeCommand(3, text('abc'))), 'no such pipe').to.equal(ERR_INVALID_PARAMETER);
    reader.close();
  });
});
