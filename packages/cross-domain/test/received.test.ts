/** What a host program may send, and what becomes of it. */
import { openSync, writeFileSync } from 'node:fs';
import { encodeResourceMapBlob } from '@oriel/gpu-blob/testing';
import { fileIdentity } from '@oriel/guest-memory';
import { check, F_SEAL_SHRINK, F_SEAL_WRITE, Fd } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { PathDoor } from '../src/index.ts';
import { receiveBytes, text, textOf } from './support/bytes.ts';
import { type HostClient, makeFile, makePipe } from './support/fake-host.ts';
import { CrossRig, ERR_INVALID_PARAMETER, type GuestProgram, OK, PAGE, sys } from './support/rig.ts';

const HEAD = 352;
const BLOB = 1;
const WRITE_PIPE = 4;
const EVENT = 5;
const EVENTFD = 6;
const SOCKET = 7;
const PIPEWIRE = 0x10;
const OK_MAP_INFO = 0x1106;
const END = receiveBytes(new Uint8Array(0));

describe('a descriptor of a host program', () => {
  let leaks: LeakCheck;
  let rig: CrossRig;
  let guest: GuestProgram;
  let peer: HostClient;

  beforeEach(async () => {
    leaks = leakCheck();
    rig = new CrossRig();
    guest = await rig.connected();
    peer = rig.wayland.accept()!;
  });
  afterEach(() => {
    rig[Symbol.dispose]();
    leaks.check();
  });

  const told = async (file: Fd, program = guest) => {
    peer.tell(text('x'), [file]);
    return await program.next(HEAD + 1);
  };
  const announced = (type: number, size = 0, id = 2) => receiveBytes(text('x'), [{ id, type, size }]);
  const content = (resourceId: number, length: number) => {
    const bytes = new Uint8Array(length);
    rig.device.resources.get(resourceId)!.read(0, bytes, 0, length);
    return textOf(bytes);
  };
  const hostFd = (resourceId: number) => rig.device.resources.get(resourceId)!.host!.fd;
  const map = async (resourceId: number) => (await rig.ask(encodeResourceMapBlob({ resourceId, offset: 0 }))).type;

  it('that is a keymap is copied into whole pages that cannot shrink', async () => {
    using keymap = makeFile(sys, text('xkb_keymap {}'), 5000);
    expect(await told(keymap)).to.deep.equal(announced(BLOB, 5000));
    expect(await guest.blob(50, 2, 2 * PAGE)).to.equal(OK);
    expect(content(50, 13)).to.equal('xkb_keymap {}');
    check(sys.file.ftruncate(keymap.fd, 0), 'ftruncate');
    expect(content(50, 13)).to.equal('xkb_keymap {}');
    expect(await map(50)).to.equal(OK_MAP_INFO);
    expect(await guest.blob(51, 2, 2 * PAGE), 'used up').to.equal(ERR_INVALID_PARAMETER);
  });

  it('that is read-only, or sealed against writing, is copied', async () => {
    const path = `${rig.dir.path}/keymap`;
    writeFileSync(path, 'read me'.padEnd(PAGE));
    using readOnly = new Fd(sys.fd, openSync(path, 'r'));
    using sealed = makeFile(sys, text('sealed'), PAGE, F_SEAL_SHRINK | F_SEAL_WRITE);
    expect(await told(readOnly)).to.deep.equal(announced(BLOB, PAGE));
    expect(await told(sealed)).to.deep.equal(announced(BLOB, PAGE, 3));
    expect(await guest.blob(50, 2)).to.equal(OK);
    expect(await guest.blob(51, 3)).to.equal(OK);
    expect([content(50, 7), content(51, 6)]).to.deep.equal(['read me', 'sealed']);
    expect(await map(50)).to.equal(OK_MAP_INFO);
    expect(rig.type.stats).to.include({ bytes: 2 * PAGE });
  });

  it('that is memory of whole pages that cannot shrink is shared as it is', async () => {
    using shared = makeFile(sys, text('shared'), 2 * PAGE, F_SEAL_SHRINK);
    expect(await told(shared)).to.deep.equal(announced(BLOB, 2 * PAGE));
    expect(await guest.blob(50, 2, 2 * PAGE)).to.equal(OK);
    expect(fileIdentity(sys, hostFd(50))).to.deep.equal(fileIdentity(sys, shared.fd));
    expect(rig.type.stats).to.include({ bytes: 0 });
  });

  it('that is an empty file is a page of zeros', async () => {
    using empty = makeFile(sys, new Uint8Array(0), 0);
    expect(await told(empty)).to.deep.equal(announced(BLOB, 0));
    expect(await guest.blob(50, 2)).to.equal(OK);
    expect(content(50, 3)).to.equal('\0\0\0');
  });

  it('that is a pipe to be written to is one', async () => {
    const { reader, writer } = makePipe(sys);
    expect(await told(writer)).to.deep.equal(announced(WRITE_PIPE));
    reader.close();
    writer.close();
  });

  it('that a Wayland guest could not understand ends the connection', async () => {
    const others: Record<string, () => Fd[]> = {
      'an eventfd': () => [new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'))],
      'a socket': () => {
        const pair = new Int32Array(2);
        check(sys.socket.socketpair(pair), 'socketpair');
        return [...pair].map((fd) => new Fd(sys.fd, fd));
      },
      'a pipe to be read': () => Object.values(makePipe(sys)),
      'a directory': () => [new Fd(sys.fd, openSync('/', 'r'))],
      'a device': () => [new Fd(sys.fd, openSync('/dev/null', 'w'))],
    };
    let ctxId = 2;
    for (const [name, make] of Object.entries(others)) {
      const program = await rig.connected(ctxId++);
      const client = rig.wayland.accept()!;
      const files = make();
      client.tell(text('x'), files.slice(0, 1));
      expect(await program.next(HEAD), name).to.deep.equal(END);
      for (const file of files) file.close();
      await program.destroy();
    }
    expect(rig.type.stats.fds).to.equal(1);
  });

  it('that is too large to be copied ends the connection', async () => {
    using large = makeFile(sys, text('x'), (16 << 20) + 1);
    peer.tell(text('x'), [large]);
    expect(await guest.next(HEAD)).to.deep.equal(END);
    expect(rig.warnings.join()).to.include('too large to be copied');
  });

  it('that is one more than a message holds ends the connection', async () => {
    using file = makeFile(sys, text('x'), 1);
    peer.tell(text('x'), new Array(29).fill(file));
    expect(await guest.next(HEAD)).to.deep.equal(END);
    expect(rig.type.stats).to.include({ fds: 0, bytes: 0 });
  });

  it('comes 28 at a time', async () => {
    using file = makeFile(sys, text('x'), 1);
    peer.tell(text('x'), new Array(28).fill(file));
    const ids = Array.from({ length: 28 }, (_, index) => ({ id: index + 2, type: BLOB, size: 1 }));
    expect(await guest.next(HEAD + 1)).to.deep.equal(receiveBytes(text('x'), ids));
  });

  it('is not kept beyond the limits of a program', async () => {
    rig[Symbol.dispose]();
    rig = new CrossRig({ limits: { maxFds: 4 } });
    const flooded = await rig.connected();
    const flood = rig.wayland.accept()!;
    using file = makeFile(sys, text('x'), 1);
    flood.tell(text('abc'), [file, file, file]);
    await flooded.next(HEAD + 3);
    expect(rig.type.stats.fds).to.equal(4);
    flood.tell(text('d'), [file]);
    expect(await flooded.next(HEAD)).to.deep.equal(END);
    expect(await flooded.blob(50, 3), 'what came before').to.equal(OK);
    await flooded.destroy();
    expect(rig.type.stats.fds).to.equal(0);
    const next = await rig.connected(2);
    rig.wayland.accept()!.tell(text('next'));
    expect(await next.next(HEAD + 4)).to.deep.equal(receiveBytes(text('next')));
  });

  it('of other channels may be an eventfd or, with rutabaga, a socket', async () => {
    for (const [initSize, type] of [
      [20, EVENT],
      [24, EVENTFD],
      [36, EVENT],
    ] as const) {
      using other = new CrossRig({ channels: [{ type: PIPEWIRE, door: new PathDoor(rig.path) }] });
      const program = await other.program();
      expect(await program.submit(program.initCommand(initSize, PIPEWIRE))).to.equal(OK);
      peer = rig.wayland.accept()!;
      using event = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
      expect(await told(event, program)).to.deep.equal(announced(type));
      const pair = new Int32Array(2);
      check(sys.socket.socketpair(pair), 'socketpair');
      using one = new Fd(sys.fd, pair[0]!);
      using _two = new Fd(sys.fd, pair[1]!);
      peer.tell(text('x'), [one]);
      const expected = initSize === 36 ? announced(SOCKET, 0, 3) : END;
      expect(await program.next(expected.length)).to.deep.equal(expected);
    }
  });
});
