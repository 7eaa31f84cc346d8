/** What happens where the system itself says no. */
import { check, EIO, EMFILE, ENOMEM, ENOSPC, Fd } from '@oriel/sys';
import { type LeakCheck, leakCheck, type MockSys, mockSys, type SysCallName } from '@oriel/sys/testing';
import { expect } from 'chai';
import { PathDoor } from '../src/index.ts';
import {
  command,
  imageCommand,
  readBytes,
  receiveBytes,
  sendCommand,
  text,
  textOf,
  writeCommand,
} from './support/bytes.ts';
import { type HostClient, makeFile, makePipe } from './support/fake-host.ts';
import { CrossRig, ERR_OUT_OF_MEMORY, ERR_UNSPEC, type GuestProgram, OK, sys } from './support/rig.ts';

const HEAD = 352;
const NOTHING = new Uint8Array(0);
const END = receiveBytes(NOTHING);
const READ_PIPE = 3;

describe('a system that says no', () => {
  let leaks: LeakCheck;
  let mock: MockSys;
  let rig: CrossRig;
  let guest: GuestProgram;
  let peer: HostClient;

  beforeEach(async () => {
    leaks = leakCheck();
    mock = mockSys();
    rig = new CrossRig({ sys: mock });
    guest = await rig.connected();
    peer = rig.wayland.accept()!;
  });
  afterEach(() => {
    rig[Symbol.dispose]();
    leaks.check();
  });

  it('to a pipe: the SEND is refused, and the next one is not', async () => {
    const asking = sendCommand(text('paste'), [{ id: 100, type: READ_PIPE }]);
    mock.failNext('fd.pipe', EMFILE);
    expect(await guest.submit(asking)).to.equal(ERR_OUT_OF_MEMORY);
    expect(rig.type.stats.fds).to.equal(1);
    expect(await guest.submit(asking)).to.equal(OK);
    expect(textOf(peer.hear()!.data)).to.equal('paste');
  });

  it('to memory: the blob is refused, and nothing is charged', async () => {
    await guest.submit(imageCommand(1, 1, 'XR24'));
    mock.failNext('mem.memfdCreate', EMFILE);
    expect(await guest.blob(50, 2)).to.equal(ERR_OUT_OF_MEMORY);
    expect(rig.type.stats.bytes).to.equal(0);
    expect(await guest.blob(50, 2)).to.equal(OK);
  });

  const received: Record<string, readonly [SysCallName, number]> = {
    'memory for a copy': ['mem.memfdCreate', EMFILE],
    'a look at the file': ['file.statx', EIO],
    'the flags of the file': ['fd.fcntl', EIO],
    'mapping the copy': ['mem.mmap', ENOMEM],
    'reading the file': ['file.preadv2', EIO],
  };
  for (const [name, [call, errno]] of Object.entries(received)) {
    it(`to ${name}: the connection ends, and nothing is kept`, async () => {
      using keymap = makeFile(sys, text('keymap'), 100);
      peer.tell(text('x'), [keymap]);
      mock.failNext(call, errno);
      expect(await guest.next(HEAD)).to.deep.equal(END);
      expect(rig.type.stats).to.deep.equal({ fds: 0, bytes: 0, lingering: 0 });
    });
  }

  it('to a read of the socket: the connection ends', async () => {
    peer.tell(text('x'));
    mock.failNext('socket.recvmsg', EIO);
    expect(await guest.next(HEAD)).to.deep.equal(END);
    expect(rig.warnings.join()).to.include('EIO');
  });

  it('to a write of the socket: the connection ends', async () => {
    mock.failNext('socket.sendmsg', EIO);
    expect(await guest.submit(sendCommand(text('x')))).to.equal(OK);
    expect(await guest.next(HEAD)).to.deep.equal(END);
  });

  it('to a copy of a descriptor that must wait: the connection ends', async () => {
    await guest.submit(imageCommand(1, 1, 'XR24'));
    await guest.blob(50, 2);
    for (let index = 0; index < 8; index++) await guest.submit(sendCommand(new Uint8Array(60_000)));
    expect(rig.type.stats.bytes).to.be.above(4096);
    mock.failNext('fd.dup', EMFILE);
    expect(await guest.submit(sendCommand(text('x'), [{ id: 50, type: 1 }]))).to.equal(OK);
    expect(rig.type.stats).to.include({ bytes: 4096, fds: 0 });
    expect(await guest.next(HEAD)).to.deep.equal(END);
  });

  it('to watching: connections and pipes end, and nobody waits for ever', async () => {
    const next = await rig.program(2);
    mock.failNext('loop.epollCtl', ENOSPC);
    expect(await next.submit(next.initCommand(20, 1))).to.equal(ERR_UNSPEC);
    expect(await next.next(HEAD)).to.deep.equal(END);
    mock.failNext('loop.epollCtl', ENOSPC);
    expect(await guest.submit(sendCommand(text('paste'), [{ id: 100, type: READ_PIPE }]))).to.equal(OK);
    expect(await guest.next(24)).to.deep.equal(readBytes(100, NOTHING, 1));
    const { reader, writer } = makePipe(sys);
    mock.failNext('loop.epollCtl', ENOSPC);
    peer.tell(text('x'), [writer]);
    await guest.next(HEAD + 1);
    writer.close();
    expect(await guest.submit(writeCommand(2, text('x')))).to.equal(OK);
    expect(sys.fd.read(reader.fd, new Uint8Array(1), 1)).to.equal(0);
    reader.close();
  });

  it('to watching an eventfd: the guest is told', async () => {
    using other = new CrossRig({ sys: mock, channels: [{ type: 0x10, door: new PathDoor(rig.path) }] });
    const program = await other.connected(1, 1, 0x10);
    using event = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
    rig.wayland.accept()!.tell(text('x'), [event]);
    await program.next(HEAD + 1);
    mock.failNext('loop.epollCtl', ENOSPC);
    expect(await program.submit(command(11, 16, { 8: 2 }))).to.equal(ERR_OUT_OF_MEMORY);
    expect(await program.submit(command(11, 16, { 8: 2 }))).to.equal(OK);
  });

  it('tells the log of a guest program in plain letters', async () => {
    const rude = await rig.program(8, 1, 'a\nb\u001b[2J');
    await rude.submit(rude.initCommand(20, 31));
    expect(rig.warnings.join('')).to.include('(a\\x0ab\\x1b[2J)');
  });
});
