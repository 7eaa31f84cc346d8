/** Commands 8 to 13, which rutabaga and libkrun read differently. */
import { check, ENOENT, type EventLoop, Fd } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type ExportedHandle, type HandleExporter, PathDoor, type Sentinel } from '../src/index.ts';
import { bytesOf, command, readBytes, receiveBytes, sendCommand, text, textOf, writeCommand } from './support/bytes.ts';
import { type HostClient, makeFile } from './support/fake-host.ts';
import {
  CrossRig,
  type CrossRigOptions,
  ERR_INVALID_PARAMETER,
  ERR_OUT_OF_MEMORY,
  ERR_UNSPEC,
  type GuestProgram,
  OK,
  sys,
} from './support/rig.ts';

const HEAD = 352;
const X11 = 0x11;
const EVENT = 5;
const EVENTFD = 6;
const SHM = 5;
const FS_BLOB = 6;
const SOCKET = 7;
const INTERNAL = 0xffff_ffff;
const NOTHING = new Uint8Array(0);
const FUTEX = 0x4000_0000;

/** fs_id u64 @8, handle u64 @16, id @24. */
const handle = (cmd: number, id: number, handleLo = 7) =>
  command(cmd, 32, { 8: 1, 12: 2, 16: handleLo, 20: 8, 24: id });
/** id @8, pad @12. */
const named = (cmd: number, id: number) => command(cmd, 16, { 8: id });
/** uuid @8, id @24, pad @28. */
const assign = (id: number) => command(13, 32, { 8: 11, 12: 22, 16: 33, 20: 44, 24: id });
const UUID_WORDS = { 20: 11, 24: 22, 28: 33, 32: 44 };

/** Lends one file. */
class FakeExporter implements HandleExporter {
  readonly asked: ExportedHandle[] = [];
  signals = 0;
  live = 0;
  changed: () => void = () => {};

  open(asked: ExportedHandle): Fd | number {
    this.asked.push(asked);
    return asked.handleLo === 7 ? makeFile(sys, text('exported'), 8) : -ENOENT;
  }

  watch(asked: ExportedHandle, _loop: EventLoop, changed: () => void): Sentinel | number {
    const file = this.open(asked);
    if (typeof file === 'number') return file;
    this.changed = changed;
    this.live++;
    return {
      fd: file.fd,
      signal: () => {
        this.signals++;
      },
      [Symbol.dispose]: () => {
        this.live--;
        file.close();
      },
    };
  }
}

describe('the dialects', () => {
  let leaks: LeakCheck;
  let rig: CrossRig;
  let guest: GuestProgram;
  let peer: HostClient;
  let exporter: FakeExporter;

  beforeEach(() => {
    leaks = leakCheck();
    exporter = new FakeExporter();
  });
  afterEach(() => {
    rig[Symbol.dispose]();
    leaks.check();
  });

  /** @param initSize - 24: libkrun, 36: rutabaga, 20: neither */
  const start = async (initSize: number, options: CrossRigOptions = {}) => {
    let path = '';
    const door = {
      open: (...args: Parameters<PathDoor['open']>) => new PathDoor(path).open(...args),
      [Symbol.dispose]() {},
    };
    rig = new CrossRig({ channels: [{ type: X11, door }], ...options });
    path = rig.path;
    guest = await rig.program();
    expect(await guest.submit(guest.initCommand(initSize, X11))).to.equal(OK);
    peer = rig.wayland.accept()!;
  };
  const receive = async (file: Fd): Promise<Uint8Array> => {
    peer.tell(text('x'), [file]);
    return await guest.next(HEAD + 1);
  };
  const announced = (type: number, id = 2) => receiveBytes(text('x'), [{ id, type }]);
  const eventfd = () => new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
  const contentSent = () => {
    const [fd] = peer.hear()!.fds;
    const bytes = new Uint8Array(8);
    expect(sys.fd.pread(fd!.fd, bytes, 8, 0)).to.equal(8);
    return textOf(bytes);
  };

  it('have eventfds that the guest adds to, and hears of when it asks to', async () => {
    for (const [initSize, type] of [
      [24, EVENTFD],
      [36, EVENT],
    ] as const) {
      await start(initSize);
      using event = eventfd();
      expect(await receive(event)).to.deep.equal(announced(type));
      const three = bytesOf(8, { 0: 3 });
      expect(await guest.submit(writeCommand(2, three))).to.equal(OK);
      expect(sys.loop.eventfdDrain(event.fd)).to.equal(3);
      expect(await guest.submit(writeCommand(2, three.subarray(0, 4)))).to.equal(ERR_INVALID_PARAMETER);
      expect(await guest.submit(named(11, 2))).to.equal(OK);
      const poll = guest.poll();
      sys.loop.eventfdSignal(event.fd);
      expect(await guest.event(poll, 32)).to.deep.equal(readBytes(2, bytesOf(8, { 0: 1 })));
      expect(await guest.submit(sendCommand(text('back'), [{ id: 2, type }]))).to.equal(OK);
      expect(peer.hear()!.fds).to.have.length(1);
      if (initSize === 24) {
        rig[Symbol.dispose]();
        continue;
      }
      expect(await guest.submit(named(12, 2)), 'too short for an import').to.equal(ERR_INVALID_PARAMETER);
    }
  });

  it('of libkrun can stop listening by command 12', async () => {
    await start(24, { exporter });
    using event = eventfd();
    await receive(event);
    await guest.submit(named(11, 2));
    expect(await guest.submit(named(12, 2))).to.equal(OK);
    const poll = guest.poll();
    sys.loop.eventfdSignal(event.fd);
    await rig.settle();
    expect(rig.answered(poll)).to.equal(false);
    expect(await guest.submit(named(12, 9)), 'no such event').to.equal(ERR_INVALID_PARAMETER);
    expect(exporter.asked).to.deep.equal([]);
  });

  it('of rutabaga import files by command 12, and pass them on', async () => {
    for (const initSize of [36, 20]) {
      await start(initSize, { exporter });
      expect(await guest.submit(handle(12, 100))).to.equal(OK);
      expect(exporter.asked.pop()).to.deep.equal({ fsIdLo: 1, fsIdHi: 2, handleLo: 7, handleHi: 8 });
      expect(await guest.submit(handle(12, 100)), 'a number in use').to.equal(ERR_INVALID_PARAMETER);
      expect(await guest.submit(handle(12, 101, 6)), 'no such file').to.equal(ERR_UNSPEC);
      expect(await guest.submit(sendCommand(text('file'), [{ id: 100, type: FS_BLOB }]))).to.equal(OK);
      expect(contentSent()).to.equal('exported');
      expect(await guest.submit(sendCommand(text('x'), [{ id: 100, type: SOCKET }]))).to.equal(ERR_INVALID_PARAMETER);
      if (initSize === 36) rig[Symbol.dispose]();
    }
  });

  it('watch words in files, tell of changes, and pass the files on', async () => {
    await start(24, { exporter });
    expect(await guest.submit(handle(8, FUTEX))).to.equal(OK);
    expect(await guest.submit(sendCommand(text('shm'), [{ id: FUTEX, type: SHM }]))).to.equal(OK);
    expect(contentSent()).to.equal('exported');
    expect(await guest.submit(named(9, FUTEX))).to.equal(OK);
    expect(exporter.signals).to.equal(1);
    exporter.changed();
    exporter.changed();
    const signal = bytesOf(16, { 8: FUTEX });
    signal[0] = 9;
    expect(await guest.next(16)).to.deep.equal(signal);
    const idle = guest.poll();
    await rig.settle();
    expect(rig.answered(idle), 'changes of a moment are one').to.equal(false);
    expect(await guest.submit(named(10, FUTEX))).to.equal(OK);
    expect(exporter.live).to.equal(0);
    exporter.changed();
    for (const gone of [named(9, FUTEX), named(10, FUTEX)])
      expect(await guest.submit(gone)).to.equal(ERR_INVALID_PARAMETER);
    expect(await guest.submit(handle(8, FUTEX + 1, 6)), 'no such file').to.equal(ERR_UNSPEC);
    expect(await guest.submit(handle(8, FUTEX + 2))).to.equal(OK);
    await guest.destroy();
    expect(exporter.live).to.equal(0);
  });

  it('refuse files of other devices where no device lends any', async () => {
    await start(36);
    for (const cmd of [8, 12]) expect(await guest.submit(handle(cmd, 100))).to.equal(ERR_UNSPEC);
    expect(await guest.submit(named(9, 100))).to.equal(ERR_INVALID_PARAMETER);
    expect(rig.warnings.join()).to.include('none that lends files');
  });

  it('lend no more files than a program may hold', async () => {
    await start(36, { exporter, limits: { maxFds: 3 } });
    expect(await guest.submit(handle(12, 100))).to.equal(OK);
    expect(await guest.submit(handle(8, 101))).to.equal(OK);
    expect(await guest.submit(handle(12, 102))).to.equal(ERR_OUT_OF_MEMORY);
    expect(await guest.submit(named(10, 101))).to.equal(OK);
    expect(await guest.submit(handle(12, 102))).to.equal(OK);
  });

  it('of rutabaga give a socket that came to another program, once', async () => {
    await start(36);
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    using near = new Fd(sys.fd, pair[0]!);
    const far = new Fd(sys.fd, pair[1]!);
    expect(await receive(far)).to.deep.equal(announced(SOCKET));
    far.close();
    expect(await guest.submit(assign(3)), 'no such socket').to.equal(ERR_INVALID_PARAMETER);
    expect(await guest.submit(assign(2))).to.equal(OK);
    expect(await guest.submit(assign(2)), 'given away').to.equal(ERR_INVALID_PARAMETER);
    const other = await rig.program(2);
    const otherInit = other.initCommand(36, INTERNAL, UUID_WORDS);
    expect(await other.submit(otherInit)).to.equal(OK);
    expect(await other.submit(sendCommand(text('through')))).to.equal(OK);
    const bytes = new Uint8Array(7);
    expect(sys.fd.read(near.fd, bytes, 7)).to.equal(7);
    expect(textOf(bytes)).to.equal('through');
    const third = await rig.program(3);
    expect(await third.submit(third.initCommand(36, INTERNAL, UUID_WORDS)), 'taken').to.equal(ERR_UNSPEC);
    expect(await third.next(HEAD)).to.deep.equal(receiveBytes(NOTHING));
  });

  it('of rutabaga close a socket that nobody came for', async () => {
    await start(36);
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    using near = new Fd(sys.fd, pair[0]!);
    const far = new Fd(sys.fd, pair[1]!);
    await receive(far);
    far.close();
    expect(await guest.submit(assign(2))).to.equal(OK);
    await guest.destroy();
    expect(sys.fd.read(near.fd, new Uint8Array(1), 1)).to.equal(0);
    expect(rig.type.stats.fds).to.equal(0);
  });
});
