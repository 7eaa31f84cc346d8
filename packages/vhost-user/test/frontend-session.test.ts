/** The front-end side and the back-end side of this package over one socket: what both serve, seen from above. */
import { EPOLLIN, Fd } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  DirtyBitmap,
  FeatureSet,
  FRONTEND_PROTOCOL_FEATURES,
  type FrontendHandlers,
  type InflightArea,
  SharedObjects,
  VHOST_USER_PROTOCOL_F_GET_VRING_BASE_INFLIGHT,
  VHOST_USER_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN,
  VHOST_USER_PROTOCOL_F_HOST_NOTIFIER,
  VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
  VHOST_USER_PROTOCOL_F_SHARED_OBJECT,
} from '../src/index.ts';
import { MockFrontend } from '../src/testing/index.ts';
import { FullHandler } from './support/full-handler.ts';
import { memfd } from './support/prelude.ts';
import { BackendSetup } from './support/setup.ts';

const EVERYTHING = FRONTEND_PROTOCOL_FEATURES.with(
  VHOST_USER_PROTOCOL_F_GET_VRING_BASE_INFLIGHT,
  VHOST_USER_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN,
  VHOST_USER_PROTOCOL_F_HOST_NOTIFIER,
  VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
  VHOST_USER_PROTOCOL_F_SHARED_OBJECT,
);
const UUID = Uint8Array.from({ length: 16 }, (_, index) => index);

/** A device that has all there is, and does it. */
class WorkingHandler extends FullHandler {
  state: Uint8Array = Uint8Array.of(1, 2, 3, 4, 5);
  object: Fd | null = null;
  /** Says that a ring is drained, once asked for. */
  drained: (() => void) | null = null;
  /** Where it lives, once that is made. */
  setup: BackendSetup | null = null;

  override drainRing(_index: number, done: () => void): void {
    this.drained = done;
  }

  override kicked(index: number): void {
    this.calls.push(`kicked ${index}`);
  }

  override saveState(to: Fd, done: (ok: boolean) => void): void {
    this.setup!.sys.fd.write(to.fd, this.state, this.state.length);
    to.close();
    done(true);
  }

  override loadState(from: Fd, done: (ok: boolean) => void): void {
    const { sys, loop } = this.setup!;
    const bytes: number[] = [];
    const watch = loop.watch(from.fd, EPOLLIN, () => {
      const chunk = new Uint8Array(100);
      const read = sys.fd.read(from.fd, chunk, chunk.length);
      bytes.push(...chunk.subarray(0, read));
      if (read === 0) {
        watch[Symbol.dispose]();
        from.close();
        this.state = Uint8Array.from(bytes);
        done(bytes.length === 3);
      }
    });
  }

  override sharedObject(): Fd | null {
    return this.object?.dup() ?? null;
  }
}

class FullSetup implements Disposable {
  readonly setup: BackendSetup;
  readonly handler: WorkingHandler;
  readonly mock: MockFrontend;
  readonly told: string[] = [];

  constructor(wish = EVERYTHING) {
    this.handler = new WorkingHandler();
    this.setup = new BackendSetup({ handler: this.handler });
    this.handler.setup = this.setup;
    const { sys, loop, socket } = this.setup;
    const handlers: FrontendHandlers = {
      ringCalled: (index) => {
        this.told.push(`called ${index}`);
      },
      ringFailed: (index) => {
        this.told.push(`failed ${index}`);
      },
    };
    this.mock = new MockFrontend({
      sys,
      loop,
      socket: new Fd(sys.fd, socket.take()),
      handlers,
      protocolFeatures: wish,
      sharedObjects: new SharedObjects({ loop }),
    });
    this.mock.connect();
    this.handler.take();
  }

  [Symbol.dispose](): void {
    this.handler.object?.close();
    this.mock[Symbol.dispose]();
    this.setup[Symbol.dispose]();
  }
}

describe('both sides', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('agree on every feature that either has', () => {
    using both = new FullSetup();
    expect(both.mock.frontend.protocolFeatures.has(VHOST_USER_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN)).to.equal(true);
    expect(both.mock.frontend.protocolFeatures.minus(EVERYTHING).isEmpty).to.equal(true);
    expect(both.setup.backend.acceptedProtocolFeatures.equals(both.mock.frontend.protocolFeatures)).to.equal(true);
  });

  it('log dirty pages while logging is on', () => {
    using both = new FullSetup();
    using bitmap = new DirtyBitmap(both.setup.sys, MockFrontend.RAM_GPA + both.mock.ram.len);
    const { frontend } = both.mock;
    both.mock.startRing(0);
    frontend.wait((done) => frontend.startLog(bitmap, done));
    both.setup.backend.dirtyLog!.mark(MockFrontend.RAM_GPA + 0x1fff, 2);
    const pages: number[] = [];
    expect(bitmap.take((gpa) => pages.push(gpa))).to.equal(2);
    expect(pages).to.deep.equal([MockFrontend.RAM_GPA + 0x1000, MockFrontend.RAM_GPA + 0x2000]);
    frontend.wait((done) => frontend.stopLog(done));
    expect(both.setup.backend.dirtyLog).to.equal(null);
  });

  it('carry the device state, and say when it is bad', () => {
    using both = new FullSetup();
    const { frontend } = both.mock;
    const state = frontend.wait<Uint8Array>((done) => frontend.saveState(done));
    expect([...state]).to.deep.equal([1, 2, 3, 4, 5]);
    frontend.wait((done) => frontend.loadState(Uint8Array.of(7, 8, 9), done));
    expect([...both.handler.state]).to.deep.equal([7, 8, 9]);
    expect(() => frontend.wait((done) => frontend.loadState(Uint8Array.of(1), done))).to.throw('ERR_VU_REFUSED');
  });

  it('share objects', () => {
    using both = new FullSetup();
    const { backend, sys } = both.setup;
    both.handler.object = memfd(sys, 4096);
    both.mock.startRing(0);
    const outcomes: (number | boolean)[] = [];
    backend.sharedObjects.add(UUID, (error) => outcomes.push(error));
    backend.sharedObjects.lookup(UUID, (fd) => {
      outcomes.push(fd !== null);
      fd?.close();
    });
    backend.sharedObjects.remove(UUID, (error) => outcomes.push(error));
    backend.sharedObjects.lookup(UUID, (fd) => outcomes.push(fd !== null));
    both.mock.runUntil(() => outcomes.length === 4);
    expect(outcomes).to.deep.equal([0, true, 0, false]);
  });

  it('kick and call by message, where a ring has no eventfds', () => {
    using both = new FullSetup();
    const { frontend } = both.mock;
    const at = (offset: number) => MockFrontend.RAM_USER + offset;
    const ring = { index: 0, size: 16, base: 0, desc: at(0), avail: at(0x1000), used: at(0x2000) };
    frontend.wait((done) => frontend.startRing({ ...ring, kickFd: -1, callFd: -1 }, done));
    frontend.wait((done) => frontend.kickRing(0, done));
    expect(both.handler.calls).to.include('kicked 0');
    both.setup.backend.sendCall(0);
    both.setup.backend.ringError(0);
    both.mock.runUntil(() => both.told.length === 2);
    expect(both.told).to.deep.equal(['called 0', 'failed 0']);
  });

  it('wait for a ring to drain at its stop', () => {
    using both = new FullSetup(FRONTEND_PROTOCOL_FEATURES);
    const { frontend } = both.mock;
    both.mock.startRing(0);
    let stopped = false;
    frontend.stopRing(0, () => {
      stopped = true;
    });
    both.mock.runUntil(() => both.handler.drained !== null);
    both.setup.settle();
    expect(stopped).to.equal(false);
    both.handler.drained!();
    both.mock.runUntil(() => stopped);
  });

  it('leave what is in flight in the area, where the front-end says so', () => {
    using both = new FullSetup();
    const { frontend } = both.mock;
    using area = frontend.wait<InflightArea>((done) => frontend.getInflight(2, 16, done));
    frontend.wait((done) => frontend.setInflight(area, done));
    both.mock.startRing(0);
    expect(both.handler.rings.get(0)!.inflight).to.be.instanceOf(Uint8Array);
    expect(frontend.wait<number>((done) => frontend.suspendRing(0, done))).to.equal(0);
    expect(both.handler.take()).to.include('stop 0');
  });

  it('do not send what was not agreed on', () => {
    using both = new FullSetup(new FeatureSet());
    const { frontend } = both.mock;
    expect(() => frontend.wait((done) => frontend.kickRing(0, done))).to.throw('ERR_VU_GATE');
    expect(() => frontend.wait<Uint8Array>((done) => frontend.saveState(done))).to.throw('ERR_VU_GATE');
  });
});
