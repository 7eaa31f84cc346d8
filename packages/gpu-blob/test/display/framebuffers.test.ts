import { EFAULT } from '@oriel/sys';
import { expect } from 'chai';
import { HeadlessSink } from '../../src/display/framebuffers.ts';
import { collectLog, countingSource, sourceOf } from '../support/channel-setup.ts';

/** A cursor with its first pixel half transparent red, its second opaque blue. */
function testCursor(): Uint8Array {
  const image = new Uint8Array(64 * 64 * 4);
  image.set([0, 0, 128, 128, 255, 0, 0, 255]);
  return image;
}

describe('HeadlessSink', () => {
  it('shows nothing before a scanout has a size, and after it is off', () => {
    using sink = new HeadlessSink();
    let done = 0;
    sink.update(0, 0, 0, countingSource(1, 1, 'direct'), () => done++);
    expect(done).to.equal(1);
    expect(sink.frame(0)).to.equal(null);
    expect(sink.snapshot(0)).to.equal(null);
    sink.setScanout(0, 2, 1);
    expect(sink.frame(0)).to.deep.equal({ width: 2, height: 1, pixels: new Uint8Array(8) });
    sink.setScanout(0, 0, 0);
    expect(sink.frame(0)).to.equal(null);
  });

  for (const kind of ['direct', 'gathered'] as const) {
    it(`takes ${kind} pixels, part of the width and all of it`, () => {
      using sink = new HeadlessSink();
      sink.setScanout(3, 3, 3);
      sink.update(
        3,
        1,
        1,
        sourceOf(
          2,
          2,
          Uint8Array.from({ length: 16 }, (_, i) => i + 1),
          kind,
        ),
        () => {},
      );
      expect([...sink.frame(3)!.pixels]).to.deep.equal(
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].concat(
          [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
          [0, 0, 0, 0, 9, 10, 11, 12, 13, 14, 15, 16],
        ),
      );
      sink.update(3, 0, 1, sourceOf(3, 1, new Uint8Array(12).fill(7), kind), () => {});
      expect([...sink.frame(3)!.pixels.subarray(8, 28)]).to.deep.equal([
        0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0,
      ]);
    });
  }

  it('keeps the picture when the size stays, and begins black when it changes', () => {
    using sink = new HeadlessSink();
    sink.setScanout(0, 1, 2);
    sink.update(0, 0, 0, sourceOf(1, 2, new Uint8Array(8).fill(5), 'direct'), () => {});
    sink.setScanout(0, 1, 2);
    expect(sink.frame(0)!.pixels[0]).to.equal(5);
    sink.setScanout(0, 2, 1);
    expect(sink.frame(0)!.pixels[0]).to.equal(0);
  });

  it('leaves out what lies beyond the edge or cannot be read', () => {
    const { log, lines } = collectLog();
    using sink = new HeadlessSink({ log });
    sink.setScanout(0, 2, 2);
    let done = 0;
    sink.update(0, 1, 0, countingSource(2, 1, 'direct'), () => done++);
    sink.update(0, 0, 0xffff_ffff, countingSource(1, 1, 'direct'), () => done++);
    sink.update(0, 0, 0, { width: 1, height: 2, direct: null, copyRows: () => -EFAULT }, () => done++);
    sink.update(0, 0, 0, { width: 2, height: 2, direct: null, copyRows: () => -EFAULT }, () => done++);
    expect(done).to.equal(4);
    expect(sink.frame(0)!.pixels).to.deep.equal(new Uint8Array(16));
    expect(lines).to.deep.equal(['an update was lost']);
  });

  it('has no frame for a scanout beyond its memory', () => {
    const { log, lines } = collectLog();
    using sink = new HeadlessSink({ maxBytes: 64, log });
    sink.setScanout(0, 2, 4);
    sink.setScanout(1, 3, 3);
    expect(sink.frame(1)).to.equal(null);
    expect(lines).to.deep.equal(['no frame for a scanout: too large']);
    sink.setScanout(1, 4, 2);
    expect(sink.frame(1)!.pixels).to.have.length(32);
    sink.setScanout(0, 0, 0);
    sink.setScanout(0, 2, 4);
    expect(sink.frame(0)!.pixels).to.have.length(32);
    sink.setScanout(0, 16384, 16384);
    expect(sink.frame(0)).to.equal(null);
  });

  it('draws a premultiplied cursor over a copy', () => {
    using sink = new HeadlessSink();
    sink.setScanout(0, 2, 2);
    sink.update(0, 0, 0, sourceOf(2, 2, new Uint8Array(16).fill(100), 'direct'), () => {});
    sink.updateCursor(0, 0, 1, 3, 4, testCursor());
    expect([...sink.snapshot(0)!.pixels]).to.deep.equal(
      [100, 100, 100, 100, 100, 100, 100, 100].concat([50, 50, 178, 100, 255, 0, 0, 100]),
    );
    expect(sink.frame(0)!.pixels).to.deep.equal(new Uint8Array(16).fill(100));
    expect(sink.snapshot(0, { cursor: false })!.pixels).to.deep.equal(new Uint8Array(16).fill(100));
    expect(sink.cursor(0)).to.deep.include({ x: 0, y: 1, hotX: 3, hotY: 4, visible: true });
  });

  it('cuts the cursor at every edge', () => {
    using sink = new HeadlessSink();
    sink.setScanout(0, 2, 1);
    sink.updateCursor(0, 0xffff_ffff, 0, 0, 0, testCursor());
    expect([...sink.snapshot(0)!.pixels]).to.deep.equal([255, 0, 0, 0, 0, 0, 0, 0]);
    sink.moveCursor(0, 1, 0);
    expect([...sink.snapshot(0)!.pixels]).to.deep.equal([0, 0, 0, 0, 0, 0, 128, 0]);
    for (const [x, y] of [
      [2, 0],
      [0, 1],
      [0, 0xffff_ffff],
      [0xffff_ffc0, 0],
      [0x7fff_ffff, 0x8000_0000],
    ]) {
      sink.moveCursor(0, x!, y!);
      expect([...sink.snapshot(0)!.pixels], `${x}, ${y}`).to.deep.equal([0, 0, 0, 0, 0, 0, 0, 0]);
    }
  });

  it('hides the cursor and shows it again', () => {
    using sink = new HeadlessSink();
    sink.setScanout(0, 1, 1);
    sink.updateCursor(0, 0, 0, 0, 0, testCursor());
    sink.hideCursor(0, 0, 0);
    expect([...sink.snapshot(0)!.pixels]).to.deep.equal([0, 0, 0, 0]);
    sink.moveCursor(0, 0, 0);
    expect([...sink.snapshot(0)!.pixels]).to.deep.equal([0, 0, 128, 0]);
  });

  it('tells which scanout changed', () => {
    const changes: number[] = [];
    using sink = new HeadlessSink({ onChange: (scanout) => changes.push(scanout) });
    sink.setScanout(1, 2, 2);
    sink.setScanout(1, 2, 2);
    sink.update(1, 0, 0, countingSource(1, 1, 'direct'), () => {});
    sink.moveCursor(2, 0, 0);
    expect(changes).to.deep.equal([1, 1, 2]);
  });
});
