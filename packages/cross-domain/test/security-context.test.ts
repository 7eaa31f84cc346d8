/** wp_security_context_v1: the compositor knows who comes from a guest. */
import { readdirSync } from 'node:fs';
import { EMFILE } from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { SecuredDoor, type SecurityMode } from '../src/index.ts';
import { encodeMessage, WireReader } from '../src/security-context/wire.ts';
import { receiveBytes, sendCommand, text, textOf } from './support/bytes.ts';
import { type CompositorKind, FakeCompositor } from './support/fake-compositor.ts';
import { FakeHost } from './support/fake-host.ts';
import { CrossRig, type GuestProgram, OK, sys } from './support/rig.ts';

const HEAD = 352;
const END = receiveBytes(new Uint8Array(0));
const WAYLAND = 1;

describe('a security context', () => {
  let leaks: LeakCheck;
  let dir: TempDir;
  let rig: CrossRig;
  let compositor: FakeCompositor;
  let log: string[];

  beforeEach(() => {
    leaks = leakCheck();
    dir = tempDir();
    log = [];
  });
  afterEach(() => {
    compositor[Symbol.dispose]();
    rig[Symbol.dispose]();
    dir[Symbol.dispose]();
    leaks.check();
  });

  /** The clock goes ahead by this, ns. */
  let ahead = 0;
  const clock = mockSys({ loop: { nowNs: () => sys.loop.nowNs() + ahead } });
  const start = (kind: CompositorKind, mode: SecurityMode = 'auto') => {
    ahead = 0;
    const path = `${dir.path}/wayland-1`;
    const note = (line: string): number => log.push(line);
    const logger = { error: note, warn: note, info: note, debug: note, trace: note };
    const identity = { appId: 'org.example.vm', instanceId: 'vm1' };
    const door = new SecuredDoor({ path, mode, identity, directory: dir.path, log: logger });
    rig = new CrossRig({ sys: clock, channels: [{ type: WAYLAND, door }] });
    compositor = new FakeCompositor(sys, rig.loop, new FakeHost(sys, path), kind);
  };
  const until = (met: () => boolean) => rig.host.until(met);
  const attached = async (count = 1) => {
    await until(() => compositor.welcome());
    await until(() => compositor.contexts.length === count);
    return compositor.contexts[count - 1]!;
  };
  /** What a program says arrives at a listener. */
  const hears = async (guest: GuestProgram, said: string, listener: number) => {
    expect(await guest.submit(sendCommand(text(said)))).to.equal(OK);
    let client = compositor.host.acceptAt(listener);
    await until(() => (client ??= compositor.host.acceptAt(listener)) !== null);
    let heard = client!.hear();
    await until(() => (heard ??= client!.hear()) !== null);
    expect(textOf(heard!.data)).to.equal(said);
    return client!;
  };

  it('stands before all connections, with the ids that were given', async () => {
    start('full');
    const guest = await rig.connected();
    expect(await guest.submit(sendCommand(text('early '))), 'kept meanwhile').to.equal(OK);
    const context = await attached();
    expect(context).to.include({ sandboxEngine: 'oriel', appId: 'org.example.vm', instanceId: 'vm1' });
    expect(compositor.requests).to.deep.equal(['1.1', '1.0', '2.0', '4.1', '5.1', '5.2', '5.3', '5.4', '1.0']);
    let client = compositor.host.acceptAt(context.listener.fd);
    await until(() => (client ??= compositor.host.acceptAt(context.listener.fd)) !== null);
    let heard = client!.hear();
    await until(() => (heard ??= client!.hear()) !== null);
    expect(textOf(heard!.data)).to.equal('early ');
    const second = await rig.connected(2);
    await hears(second, 'second', context.listener.fd);
    // One handshake for all, and nobody finds the listener by a name.
    expect(compositor.clients).to.equal(1);
    expect(compositor.welcome()).to.equal(false);
    expect(readdirSync(dir.path).filter((name) => name.startsWith('oriel'))).to.deep.equal([]);
    expect(log.join()).to.include('under a security context');
    expect(compositor.isOver(context)).to.equal(false);
  });

  it('ends with the context type', async () => {
    start('full');
    await rig.connected();
    const context = await attached();
    await rig.settle();
    rig.type[Symbol.dispose]();
    expect(compositor.isOver(context)).to.equal(true);
  });

  it('is asked for anew of the next compositor', async () => {
    start('full');
    const guest = await rig.connected();
    await hears(guest, 'one', (await attached()).listener.fd);
    compositor.die();
    expect(await guest.next(HEAD)).to.deep.equal(END);
    compositor.host.listen();
    const next = await rig.connected(2);
    await hears(next, 'two', (await attached(2)).listener.fd);
  });

  for (const kind of ['without', 'refusing'] as const) {
    it(`is done without where the compositor is ${kind}, with a word`, async () => {
      start(kind);
      const guest = await rig.connected();
      await until(() => compositor.welcome());
      expect(await guest.submit(sendCommand(text('plain')))).to.equal(OK);
      let client = compositor.host.accept();
      await until(() => (client ??= compositor.host.accept()) !== null);
      let heard = client!.hear();
      await until(() => (heard ??= client!.hear()) !== null);
      expect(textOf(heard!.data)).to.equal('plain');
      expect(log.join()).to.include('guests are plain clients');
    });

    it(`is demanded of a compositor that is ${kind}, and nobody connects`, async () => {
      start(kind, 'require');
      const guest = await rig.connected();
      await until(() => compositor.welcome());
      expect(await guest.next(HEAD)).to.deep.equal(END);
      expect(compositor.host.accept()).to.equal(null);
      expect(log.join()).to.include('guests may not connect');
    });
  }

  it('is no matter of a compositor that speaks no Wayland: nobody connects', async () => {
    start('babbling');
    const guest = await rig.connected();
    await until(() => compositor.welcome());
    expect(await guest.next(HEAD)).to.deep.equal(END);
    expect(compositor.host.accept()).to.equal(null);
    expect(log.join()).to.include('guests may not connect');
  });

  for (const call of ['file.mkdirat', 'socket.listenUnix', 'file.openat', 'fd.pipe'] as const) {
    it(`is no matter of choice where ${call} fails: a guest may have used up what there was`, async () => {
      start('full');
      clock.failNext(call, EMFILE);
      const guest = await rig.connected();
      await until(() => compositor.welcome());
      expect(await guest.next(HEAD)).to.deep.equal(END);
      expect(compositor.host.accept()).to.equal(null);
      expect(log.join()).to.include('EMFILE');
      expect(readdirSync(dir.path)).to.deep.equal(['wayland-1']);
    });
  }

  it('is not waited for without an end', async () => {
    start('silent');
    const guest = await rig.connected();
    await until(() => compositor.welcome());
    await rig.settle();
    ahead = 5e9;
    expect(await guest.next(HEAD)).to.deep.equal(END);
    expect(log.join()).to.include('ETIMEDOUT');
  });

  it('is not waited for by a program that ends', async () => {
    start('silent');
    const guest = await rig.connected();
    await until(() => compositor.welcome());
    await guest.destroy();
    expect(rig.type.stats.fds).to.equal(0);
  });

  it('does not matter where no compositor is', async () => {
    start('full');
    compositor.die();
    const guest = await rig.program();
    expect(await guest.submit(guest.initCommand(20, WAYLAND))).to.equal(0x1200);
    expect(await guest.next(HEAD)).to.deep.equal(END);
    expect(log).to.deep.equal([]);
  });
});

describe('the Wayland wire format', () => {
  it('has words, texts with their end, and padding', () => {
    const bytes = encodeMessage(2, 0, 7, 'abcd', 1);
    expect([...bytes]).to.deep.equal([
      2, 0, 0, 0, 0, 0, 28, 0, 7, 0, 0, 0, 5, 0, 0, 0, 97, 98, 99, 100, 0, 0, 0, 0, 1, 0, 0, 0,
    ]);
    const [event] = new WireReader().push(bytes)!;
    expect([event!.object, event!.opcode, event!.number(), event!.text(), event!.number()]).to.deep.equal([
      2,
      0,
      7,
      'abcd',
      1,
    ]);
    expect([event!.number(), event!.text()]).to.deep.equal([0, '']);
  });

  it('comes in pieces', () => {
    const bytes = encodeMessage(3, 1, 'x');
    const reader = new WireReader();
    for (const byte of bytes.subarray(0, -1)) expect(reader.push(Uint8Array.of(byte))).to.deep.equal([]);
    expect(reader.push(bytes.subarray(-1))!.map((event) => event.text())).to.deep.equal(['x']);
  });

  it('may be any bytes in any pieces', () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });
    fc.assert(
      fc.property(pieces, (sent) => {
        const reader = new WireReader();
        for (const piece of sent) {
          for (const event of reader.push(piece) ?? [])
            expect([event.number(), event.text(), event.text()]).to.have.length(3);
        }
      }),
    );
  });

  it('is not what has an impossible size', () => {
    for (const size of [0, 4, 7, 9]) {
      const words = new Uint32Array([1, size << 16, 0, 0]);
      expect(new WireReader().push(new Uint8Array(words.buffer))).to.equal(null);
    }
    const lie = encodeMessage(1, 0, 'abc');
    new DataView(lie.buffer).setUint32(8, 4000, true);
    expect(new WireReader().push(lie)![0]!.text()).to.equal('');
  });
});
