import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import * as surface from '../src/index.ts';
import {
  isPackedRingSize,
  isRingSize,
  layoutPackedRing,
  layoutSplitRing,
  ringBytes,
  VirtqAvail,
  VirtqDesc,
  VirtqPackedDesc,
  VirtqPackedEvent,
  VirtqUsed,
  VirtqUsedElem,
} from '../src/index.ts';
import { availEventAt, usedEventAt } from '../src/split-ring.ts';

const here = import.meta.dirname;
const header = JSON.parse(readFileSync(join(here, 'layout-c.json'), 'utf8'));

describe('layout', () => {
  it('is that of linux/virtio_ring.h', () => {
    for (const layout of [VirtqDesc, VirtqAvail, VirtqUsed, VirtqUsedElem, VirtqPackedDesc, VirtqPackedEvent]) {
      const { size, ...fields } = header.structs[layout.structName];
      expect(layout.byteLength, layout.structName).to.equal(size);
      expect([...layout.fieldNames]).to.deep.equal(Object.keys(fields));
      for (const name of layout.fieldNames) {
        const field = (layout as unknown as Record<string, { offset: number; size: number }>)[name]!;
        expect([field.offset, field.size], `${layout.structName}.${name}`).to.deep.equal(fields[name]);
      }
    }
    for (const [name, value] of Object.entries(header.constants)) {
      expect((surface as Record<string, unknown>)[name], name).to.equal(value);
    }
  });

  it('lays a ring out as vring_init does', () => {
    for (const ring of header.rings) {
      const { size, desc, avail, used, usedEvent, availEvent, total } = ring;
      expect(layoutSplitRing(size)).to.deep.equal({ desc, avail, used, total });
      expect([avail + 2 * usedEventAt(size), used + 2 * availEventAt(size)]).to.deep.equal([usedEvent, availEvent]);
    }
  });

  it('is what the C program says on this host', function () {
    const compiler = spawnSync('gcc', ['--version']);
    if (compiler.status !== 0 || !existsSync('/usr/include/linux/virtio_ring.h')) {
      console.warn('      SKIPPED: needs gcc and linux/virtio_ring.h');
      this.skip();
    }
    using dir = tempDir();
    const program = join(dir.path, 'layout-c');
    execFileSync('gcc', ['-o', program, join(here, 'layout-c.c')]);
    expect(JSON.parse(execFileSync(program, { encoding: 'utf8' }))).to.deep.equal(header);
  });

  it('counts the event fields only with EVENT_IDX', () => {
    expect(ringBytes(8, true)).to.deep.equal({ desc: 128, avail: 22, used: 70 });
    expect(ringBytes(8, false)).to.deep.equal({ desc: 128, avail: 20, used: 68 });
  });

  it('knows powers of two from 1 to 32768', () => {
    const sizes = [-8, 0, 0.5, 1, 2, 3, 6, 256, 1000, 32768, 65536, 2 ** 32, Number.NaN];
    expect(sizes.filter(isRingSize)).to.deep.equal([1, 2, 256, 32768]);
    expect(() => layoutSplitRing(3)).to.throw(RangeError);
  });

  it('lays out packed rings of any size from 1 to 32768, their event areas aligned', () => {
    const sizes = [0, 0.5, 1, 3, 1000, 32768, 32769];
    expect(sizes.filter(isPackedRingSize)).to.deep.equal([1, 3, 1000, 32768]);
    expect(layoutPackedRing(3)).to.deep.equal({ desc: 0, avail: 48, used: 52, total: 56 });
    expect(() => layoutPackedRing(0)).to.throw(RangeError);
  });
});
