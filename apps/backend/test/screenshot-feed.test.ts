import { expect } from 'chai';
import fc from 'fast-check';
import type { Frame } from '../src/device-module.ts';
import { ScreenshotFeed } from '../src/screenshots/screenshot-feed.ts';

/** A clock, a display and a main thread. */
class Scene implements Disposable {
  nowMs = 1000;
  /** What each scanout shows; absent: off. */
  readonly shows = new Map<number, number>();
  /** Pictures given, with the time. */
  readonly given: [ms: number, scanout: number, shown: number][] = [];
  readonly feed: ScreenshotFeed;
  readonly #timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>();
  readonly #unshown: (() => void)[] = [];

  constructor() {
    this.feed = new ScreenshotFeed({
      loop: { timer: (delayMs, callback) => this.#timer(delayMs, callback) },
      nowMs: () => this.nowMs,
      capture: (scanout) => this.#capture(scanout),
      showFrame: (frame, shown) => {
        this.given.push([this.nowMs, frame.scanout, frame.pixels[0]!]);
        this.#unshown.push(shown);
      },
    });
  }

  get timers(): number {
    return this.#timers.size;
  }

  draw(scanout: number, value: number): void {
    this.shows.set(scanout, value);
    this.feed.changed(scanout);
  }

  off(scanout: number): void {
    this.feed.leaving(scanout);
    this.shows.delete(scanout);
  }

  /** The main thread has written all that it was given. */
  written(): void {
    for (const shown of this.#unshown.splice(0)) {
      shown();
    }
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const timer of [...this.#timers]) {
      if (timer.dueMs <= this.nowMs) {
        this.#timers.delete(timer);
        timer.callback();
      }
    }
  }

  [Symbol.dispose](): void {
    this.feed[Symbol.dispose]();
  }

  #timer(delayMs: number, callback: () => void): Disposable {
    const timer = { dueMs: this.nowMs + delayMs, callback };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => this.#timers.delete(timer) };
  }

  #capture(scanout: number): Frame | null {
    const value = this.shows.get(scanout);
    return value === undefined ? null : { scanout, width: 1, height: 1, pixels: Uint8Array.of(value, 0, 0, 0) };
  }
}

describe('ScreenshotFeed', () => {
  it('gives the first picture at once and the next ones at its pace', () => {
    using scene = new Scene();
    scene.draw(0, 1);
    scene.pass(0);
    scene.written();
    for (let value = 2; value <= 11; value++) {
      scene.pass(50);
      scene.draw(0, value);
      scene.written();
    }
    scene.pass(1000);
    expect(scene.given).to.deep.equal([
      [1000, 0, 1],
      [1200, 0, 4],
      [1400, 0, 8],
      [2500, 0, 11],
    ]);
  });

  it('sleeps while nothing changes', () => {
    using scene = new Scene();
    scene.draw(0, 1);
    scene.pass(0);
    scene.written();
    scene.pass(10_000);
    expect(scene.timers).to.equal(0);
    expect(scene.given).to.have.length(1);
  });

  it('never gives a second picture while the first is being written', () => {
    using scene = new Scene();
    scene.draw(0, 1);
    scene.pass(0);
    scene.draw(0, 2);
    scene.pass(5000);
    expect(scene.given).to.have.length(1);
    scene.written();
    scene.pass(0);
    expect(scene.given.at(-1)).to.deep.equal([6000, 0, 2]);
  });

  it('paces each scanout by itself', () => {
    using scene = new Scene();
    scene.draw(0, 1);
    scene.draw(3, 2);
    scene.pass(0);
    expect(scene.given).to.deep.equal([
      [1000, 0, 1],
      [1000, 3, 2],
    ]);
  });

  it('gives what a scanout showed before it went off', () => {
    using scene = new Scene();
    scene.draw(0, 1);
    scene.pass(0);
    scene.draw(0, 2);
    scene.off(0);
    scene.written();
    scene.pass(200);
    expect(scene.given.at(-1)).to.deep.equal([1200, 0, 2]);
    scene.off(0);
    scene.pass(1000);
    expect(scene.given).to.have.length(2);
  });

  it('gives nothing of a scanout that showed nothing', () => {
    using scene = new Scene();
    scene.feed.changed(0);
    scene.pass(0);
    expect(scene.given).to.deep.equal([]);
    scene.draw(0, 1);
    scene.pass(200);
    expect(scene.given).to.deep.equal([[1200, 0, 1]]);
  });

  it('gives what is owed when it ends, and nothing afterwards', () => {
    const scene = new Scene();
    scene.draw(0, 1);
    scene.pass(0);
    scene.draw(0, 2);
    scene.draw(1, 3);
    scene.off(1);
    scene[Symbol.dispose]();
    scene.written();
    scene.pass(1000);
    expect(scene.timers).to.equal(0);
    expect(scene.given.map(([, scanout, value]) => [scanout, value])).to.deep.equal([
      [0, 1],
      [0, 2],
      [1, 3],
    ]);
  });

  it('always ends with the last picture, whatever came between', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('draw' as const), value: fc.integer({ min: 1, max: 255 }) }),
      fc.record({ kind: fc.constant('off' as const) }),
      fc.record({ kind: fc.constant('written' as const) }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(300) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const scene = new Scene();
        let last = 0;
        for (const one of steps) {
          switch (one.kind) {
            case 'draw':
              last = one.value;
              scene.draw(0, last);
              break;
            case 'off':
              scene.off(0);
              break;
            case 'written':
              scene.written();
              break;
            case 'pass':
              scene.pass(one.ms);
              break;
          }
        }
        scene[Symbol.dispose]();
        expect(scene.given.at(-1)?.[2] ?? 0).to.equal(last);
        const times = scene.given.slice(0, -1).map(([ms]) => ms);
        expect(times.every((ms, index) => index === 0 || ms - times[index - 1]! >= 200)).to.equal(true);
      }),
    );
  });
});
