import { renderWindow } from '@oriel/shm-region';
import { expect } from 'chai';

const MiB = 1024 * 1024;

describe('renderWindow', () => {
  it('shows which range holds which label', () => {
    const lines = renderWindow(
      [
        { shmOffset: 8 * MiB, len: 2 * MiB, label: 'shader.bin', state: 'mapping' },
        { shmOffset: 0, len: 2 * MiB, label: 'libc.so', state: 'live' },
        { shmOffset: 2 * MiB, len: 2 * MiB, label: 'libc.so', state: 'live' },
      ],
      16 * MiB,
      { width: 32 },
    );
    expect(lines).to.deep.equal([
      'window of 16 MiB: 3 mappings, 6 MiB used, largest hole 6 MiB',
      '[AAAAAAAA........BBBB............]',
      ' 0                         16 MiB',
      ' A  libc.so: 4 MiB at 0x0+2 MiB, 0x200000+2 MiB',
      ' B  shader.bin: 2 MiB at 0x800000+2 MiB (mapping)',
    ]);
  });

  it('shows an empty window', () => {
    expect(renderWindow([], 4096, { width: 8 })).to.deep.equal([
      'window of 4 KiB: 0 mappings, 0 bytes used, largest hole 4 KiB',
      '[........]',
      ' 0  4 KiB',
    ]);
  });

  it('never hides a mapping smaller than a cell, and marks cells with several labels', () => {
    const entries = [
      { shmOffset: 0, len: 4096, label: 'a' },
      { shmOffset: 8192, len: 4096, label: 'b' },
      { shmOffset: 16 * MiB - 4096, len: 4096, label: 'c' },
    ];
    expect(renderWindow(entries, 16 * MiB, { width: 8 })[1]).to.equal('[+......C]');
  });

  it('counts the bytes of an entry that waits over another once', () => {
    const entries = [
      { shmOffset: 0, len: 4 * MiB, label: 'old', state: 'unmapping' as const },
      { shmOffset: 0, len: 2 * MiB, label: 'new', state: 'mapping' as const },
    ];
    const lines = renderWindow(entries, 8 * MiB, { width: 8 });
    expect(lines[0]).to.equal('window of 8 MiB: 2 mappings, 4 MiB used, largest hole 4 MiB');
    expect(lines[1]).to.equal('[++AA....]');
  });

  it('lets no label command the terminal', () => {
    const label = 'x\u001b[2J\n\u202e\u2028\ud800y';
    const lines = renderWindow([{ shmOffset: 0, len: 4096, label }], 4096);
    expect(lines[3]).to.equal(' A  x?[2J????y: 4 KiB at 0x0+4 KiB');
  });

  it('bounds the legend, its lines and its labels', () => {
    const entries = Array.from({ length: 60 }, (_, i) => ({ shmOffset: i * 4096, len: 4096, label: `f${i}` }));
    const lines = renderWindow(entries, 60 * 4096, { width: 60, legend: 2 });
    expect(lines.slice(3)).to.deep.equal([
      ' A  f0: 4 KiB at 0x0+4 KiB',
      ' B  f1: 4 KiB at 0x1000+4 KiB',
      ' (and 58 more)',
    ]);
    expect(lines[1]).to.match(/^\[ABC.*xyz########\]$/);
    const same = entries.map((entry) => ({ ...entry, label: 'n'.repeat(100) }));
    expect(renderWindow(same, 60 * 4096)[3]).to.equal(
      ` A  ${'n'.repeat(39)}…: 240 KiB at 0x0+4 KiB, 0x1000+4 KiB, 0x2000+4 KiB, and 57 more`,
    );
  });

  it('throws for a bar too narrow and for an entry outside', () => {
    expect(() => renderWindow([], 4096, { width: 7 })).to.throw(RangeError);
    expect(() => renderWindow([{ shmOffset: 4096, len: 4096, label: '' }], 4096)).to.throw(RangeError);
  });
});
