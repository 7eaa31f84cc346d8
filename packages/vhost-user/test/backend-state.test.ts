/** Device state, status and reset. */
import { AT_FDCWD, check, EAGAIN, Fd, O_NONBLOCK, O_RDONLY, O_WRONLY, S_IFIFO } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { prelude, SentFds, startRaw, u32s, u64s } from './support/prelude.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { RawSetup, socketPair } from './support/setup.ts';

const ENABLE = 18;
const RESET = 34;
const SET_STATUS = 39;
const GET_STATUS = 40;
const SET_STATE_FD = 42;
const CHECK_STATE = 43;
const REPLY_ACK = 1 << 3;
const SAVE = 0;
const LOAD = 1;

const u64Of = (payload: Uint8Array) => Number(new DataView(payload.buffer).getBigUint64(0, true));

class StateHandler extends RecordingHandler {
  given: Fd | null = null;
  done: (ok: boolean) => void = () => {};
  fails = false;

  saveState(to: Fd, done: (ok: boolean) => void): void {
    this.#take('save', to, done);
  }

  loadState(from: Fd, done: (ok: boolean) => void): void {
    this.#take('load', from, done);
  }

  #take(what: string, fd: Fd, done: (ok: boolean) => void): void {
    this.calls.push(what);
    if (this.fails) {
      fd.close();
      throw new Error('not now');
    }
    this.given = fd;
    this.done = done;
  }
}

class StateSetup extends RawSetup {
  readonly #state: StateHandler;

  constructor(state = new StateHandler()) {
    super({ handler: state });
    this.#state = state;
    prelude(this);
    this.peer.send(16, 1, u64s(REPLY_ACK | (1 << 13) | (1 << 16) | (1 << 19)));
    this.settle();
  }

  get state(): StateHandler {
    return this.#state;
  }

  begin(direction: number, fd: number, phase = 0): number {
    this.peer.send(SET_STATE_FD, 1, u32s(direction, phase), [fd]);
    const reply = this.peer.receive();
    expect([reply.id, reply.flags, reply.fds]).to.deep.equal([SET_STATE_FD, 5, []]);
    return u64Of(reply.payload);
  }

  check(): number {
    this.peer.send(CHECK_STATE, 1);
    return u64Of(this.peer.receive().payload);
  }
}

describe('BackendConnection, device state', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('is offered where it can be saved and loaded', () => {
    for (const [handler, bit] of [
      [new StateHandler(), 1 << 19],
      [new RecordingHandler(), 0],
    ] as const) {
      using setup = new RawSetup({ handler });
      setup.peer.send(15, 1);
      expect(u64Of(setup.peer.receive().payload) & (1 << 19)).to.equal(bit);
    }
  });

  for (const [what, direction] of [
    ['save', SAVE],
    ['load', LOAD],
  ] as const) {
    it(`gives the descriptor to ${what} with, no longer blocking, and tells how it went`, () => {
      for (const [ok, result] of [
        [true, 0],
        [false, 1],
      ] as const) {
        using setup = new StateSetup();
        const [ours, theirs] = socketPair(setup.sys);
        setup.sys.fd.setNonBlocking(theirs.fd, false);
        expect(setup.begin(direction, theirs.fd)).to.equal(0x100);
        expect(setup.handler.take()).to.deep.equal([what]);
        expect(setup.sys.fd.read(setup.state.given!.fd, new Uint8Array(1), 1)).to.equal(-EAGAIN);
        setup.state.given!.close();
        setup.state.done(ok);
        expect(setup.check()).to.equal(result);
        ours.close();
        theirs.close();
      }
    });
  }

  it('answers CHECK_DEVICE_STATE when the device has done, and later messages after that', () => {
    using setup = new StateSetup();
    using fds = new SentFds(setup.sys, ['socket']);
    setup.begin(LOAD, fds.numbers[0]!);
    setup.peer.send(CHECK_STATE, 1);
    setup.peer.send(GET_STATUS, 1);
    expect(setup.peer.receiveHex()).to.equal('null');
    setup.state.given!.close();
    setup.state.done(true);
    expect(setup.peer.receiveHex()).to.equal(`2b0000000500000008000000${'00'.repeat(8)}`);
    expect(setup.peer.receiveHex()).to.equal(`280000000500000008000000${'00'.repeat(8)}`);
    setup.state.done(false);
  });

  it('notices that the front-end leaves while it waits', () => {
    using setup = new StateSetup();
    using fds = new SentFds(setup.sys, ['socket']);
    setup.begin(LOAD, fds.numbers[0]!);
    setup.peer.send(CHECK_STATE, 1);
    setup.settle();
    setup.peer.close();
    setup.settle();
    expect(setup.backend.closed).to.equal(true);
    setup.state.given!.close();
    setup.state.done(true);
  });

  it('refuses a check of nothing, and of the same transfer twice', () => {
    using setup = new StateSetup();
    expect(setup.check()).to.equal(1);
    using fds = new SentFds(setup.sys, ['socket']);
    setup.begin(SAVE, fds.numbers[0]!);
    setup.state.given!.close();
    setup.state.done(true);
    expect([setup.check(), setup.check()]).to.deep.equal([0, 1]);
    expect(setup.lines.at(-1)).to.include('ERR_VU_STATE');
  });

  for (const [what, direction, phase] of [
    ['an unknown direction', 2, 0],
    ['an unknown phase', 0, 1],
  ] as const) {
    it(`refuses ${what}: error 1, no descriptor`, () => {
      using setup = new StateSetup();
      using fds = new SentFds(setup.sys, ['socket']);
      expect(setup.begin(direction, fds.numbers[0]!, phase)).to.equal(0x101);
      expect(setup.handler.take()).to.deep.equal([]);
    });
  }

  it('refuses the wrong end of a pipe', () => {
    using setup = new StateSetup();
    using dir = tempDir();
    const { file, fd: fds } = setup.sys;
    const path = new TextEncoder().encode(`${dir.path}/pipe\0`);
    check(file.mknodat(AT_FDCWD, path, S_IFIFO | 0o600, 0), 'mknod');
    using reading = new Fd(fds, check(file.openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0), 'open'));
    using writing = new Fd(fds, check(file.openat(AT_FDCWD, path, O_WRONLY | O_NONBLOCK, 0), 'open'));
    expect(setup.begin(SAVE, reading.fd)).to.equal(0x101);
    expect(setup.lines.at(-1)).to.include('ERR_VU_DESCRIPTOR');
    expect(setup.begin(LOAD, writing.fd)).to.equal(0x101);
    expect(setup.begin(SAVE, writing.fd)).to.equal(0x100);
    setup.state.given!.close();
    setup.state.done(true);
    expect(setup.check()).to.equal(0);
  });

  it('refuses what is no pipe', () => {
    using setup = new StateSetup();
    using fds = new SentFds(setup.sys, ['memory', 'event']);
    for (const fd of fds.numbers) {
      expect(setup.begin(SAVE, fd)).to.equal(0x101);
      expect(setup.lines.at(-1)).to.include('ERR_VU_DESCRIPTOR');
    }
  });

  it('refuses a transfer while rings run, a second one beside the first, and a start during one', () => {
    using setup = new StateSetup();
    startRaw(setup);
    using fds = new SentFds(setup.sys, ['socket', 'event']);
    const [socket, event] = fds.numbers as [number, number];
    expect(setup.begin(SAVE, socket)).to.equal(0x101);
    expect(setup.lines.at(-1)).to.include('ERR_VU_STATE');
    setup.peer.ask(ENABLE, u32s(0, 0));
    expect(setup.begin(SAVE, socket)).to.equal(0x100);
    expect(setup.begin(SAVE, socket)).to.equal(0x101);
    expect(setup.peer.ask(ENABLE, u32s(0, 1))).to.equal(1);
    expect(setup.backend.running).to.equal(false);
    setup.state.given!.close();
    setup.state.done(true);
    setup.peer.ask(12, u64s(0), [event]);
    expect(setup.peer.ask(ENABLE, u32s(0, 1))).to.equal(0);
    expect(setup.backend.running).to.equal(true);
  });

  it('refuses what the device refuses', () => {
    const handler = new StateHandler();
    handler.fails = true;
    using setup = new StateSetup(handler);
    using fds = new SentFds(setup.sys, ['socket']);
    expect(setup.begin(SAVE, fds.numbers[0]!)).to.equal(0x101);
    expect(setup.lines.at(-1)).to.include('ERR_VU_DEVICE');
    expect(setup.check()).to.equal(1);
  });
});

describe('BackendConnection, reset', () => {
  it('stops and forgets the rings, and the status, and lives on', () => {
    using setup = new StateSetup();
    startRaw(setup);
    setup.peer.ask(SET_STATUS, u64s(0xf));
    setup.handler.take();
    expect(setup.peer.ask(RESET)).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['stop 0', 'suspended', 'reset']);
    setup.peer.send(GET_STATUS, 1);
    expect(u64Of(setup.peer.receive().payload)).to.equal(0);
    expect(setup.backend.memory.regions.length).to.equal(1);
    expect(setup.backend.acceptedFeatures.bits()).to.deep.equal([0, 29, 32]);
    prelude(setup);
    startRaw(setup);
    setup.settle();
    expect(setup.handler.take()).to.deep.equal(['resumed', 'start 0 base 5']);
  });
});
